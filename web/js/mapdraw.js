// Draws one view of the map on a canvas: sea, land, borders, tiles, a grid and rings in metres round the incident, the
// people with how sure their positions are. Knows nothing of fingers or keys.

import { metres, metresPerPixel, project, roundDown, unproject, worldSize } from "./geo.js";

/** A grid and rings are drawn when a pixel is at most so many metres. */
const LOCAL_METRES_PER_PIXEL = 60;
/** Rings are at least so far apart, in pixels. */
const RING_GAP = 64;
const RINGS_MAX = 8;
const FONT = "system-ui, sans-serif";

/** The colours that the style sheet gives the map; they change with light and dark. */
export function colours(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(`--map-${name}`).trim();
  const names = ["sea", "land", "coast", "border", "grid", "ring", "ink", "halo", "incident", "person", "me", "old"];
  return Object.fromEntries(names.map((name) => [name, of(name)]));
}

/** Where a position is on the canvas, in the copy of the world that is nearest to the middle. */
export function place(view, position) {
  const size = worldSize(view.zoom);
  const [point, middle] = [project(position), project(view.centre)];
  let dx = point.x - middle.x;
  if (dx > 0.5) dx -= 1;
  if (dx < -0.5) dx += 1;
  return { x: view.width / 2 + dx * size, y: view.height / 2 + (point.y - middle.y) * size };
}

/** The position under a point of the canvas. */
export function positionAt(view, x, y) {
  const size = worldSize(view.zoom);
  const middle = project(view.centre);
  return unproject({ x: middle.x + (x - view.width / 2) / size, y: middle.y + (y - view.height / 2) / size });
}

/** The box of degrees that is seen; west may be under -180. */
export function seen(view) {
  const size = worldSize(view.zoom);
  const middle = project(view.centre);
  const [halfX, halfY] = [view.width / 2 / size, view.height / 2 / size];
  const top = unproject({ x: 0.5, y: Math.max(0, middle.y - halfY) }).latitude;
  const bottom = unproject({ x: 0.5, y: Math.min(1, middle.y + halfY) }).latitude;
  return { west: (middle.x - halfX - 0.5) * 360, east: (middle.x + halfX - 0.5) * 360, south: bottom, north: top };
}

/** Draws everything. */
export function draw(context, view, { atlas, tiles, incident, people, palette }) {
  context.fillStyle = palette.sea;
  context.fillRect(0, 0, view.width, view.height);
  drawLand(context, view, atlas.sheetsFor(seen(view), view.zoom) ?? [], palette);
  const tiled = tiles?.draw(context, view) ?? false;
  const local = metresPerPixel(view.centre.latitude, view.zoom) <= LOCAL_METRES_PER_PIXEL;
  if (local && !tiled) drawGrid(context, view, incident, palette);
  if (local && incident) drawRings(context, view, incident, palette);
  if (!local && !tiled) drawNames(context, view, atlas.labels, palette);
  const taken = [];
  for (const person of people) drawAccuracy(context, view, person, palette);
  if (incident) drawIncident(context, view, incident, palette, taken);
  for (const person of people) drawPerson(context, view, person, palette, taken);
}

function drawLand(context, view, sheets, palette) {
  const size = worldSize(view.zoom);
  const middle = project(view.centre);
  const copies = [-1, 0, 1].filter((copy) => {
    const left = view.width / 2 + (copy - middle.x) * size;
    return left < view.width && left + size > 0;
  });
  for (const copy of copies) {
    const frame = { size, left: view.width / 2 + (copy - middle.x) * size, top: view.height / 2 - middle.y * size };
    for (const { land, borders } of sheets) {
      const visible = land.filter(({ box }) => onScreen(box, frame, view));
      trace(context, visible, frame, () => {
        context.fillStyle = palette.land;
        context.fill("evenodd");
      });
      context.lineWidth = 1;
      strokeCoast(context, visible, frame, palette.coast);
      const lines = borders.filter(({ box }) => onScreen(box, frame, view));
      trace(context, lines, frame, () => {
        context.strokeStyle = palette.border;
        context.setLineDash([4, 3]);
        context.stroke();
        context.setLineDash([]);
      });
    }
  }
}

function onScreen(box, { size, left, top }, view) {
  return (
    left + box.east * size > 0 && left + box.west * size < view.width &&
    top + box.south * size > 0 && top + box.north * size < view.height
  );
}

function trace(context, shapes, { size, left, top }, paint) {
  context.beginPath();
  for (const { xy } of shapes) {
    context.moveTo(left + xy[0] * size, top + xy[1] * size);
    for (let n = 2; n < xy.length; n += 2) context.lineTo(left + xy[n] * size, top + xy[n + 1] * size);
  }
  paint();
}

/** A ring's outline without the cuts along a cell's edge. */
function strokeCoast(context, shapes, { size, left, top }, colour) {
  context.beginPath();
  for (const { xy, onEdge } of shapes) {
    const points = onEdge.length;
    let before = points - 1;
    let down = false;
    for (let n = 0; n < points; n++) {
      if (onEdge[n] & onEdge[before]) down = false;
      else {
        if (!down) context.moveTo(left + xy[2 * before] * size, top + xy[2 * before + 1] * size);
        context.lineTo(left + xy[2 * n] * size, top + xy[2 * n + 1] * size);
        down = true;
      }
      before = n;
    }
  }
  context.strokeStyle = colour;
  context.stroke();
}

/** Squares of a round number of metres, lying so that the incident is on a corner. */
function drawGrid(context, view, incident, palette) {
  const scale = metresPerPixel(view.centre.latitude, view.zoom);
  const step = roundDown(scale * 90) / scale;
  const origin = place(view, incident ?? view.centre);
  context.strokeStyle = palette.grid;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = ((origin.x % step) + step) % step; x < view.width; x += step) line(context, x, 0, x, view.height);
  for (let y = ((origin.y % step) + step) % step; y < view.height; y += step) line(context, 0, y, view.width, y);
  context.stroke();
}

function line(context, x, y, toX, toY) {
  context.moveTo(Math.round(x) + 0.5, Math.round(y) + 0.5);
  context.lineTo(Math.round(toX) + 0.5, Math.round(toY) + 0.5);
}

/** Rings round the incident, each with its distance. */
function drawRings(context, view, incident, palette) {
  const scale = metresPerPixel(incident.latitude, view.zoom);
  const middle = place(view, incident);
  let step = roundDown(scale * RING_GAP * 2);
  if (step / scale < RING_GAP) step *= 2;
  const corner = Math.max(...[0, view.width].flatMap((x) => [0, view.height].map((y) => Math.hypot(x - middle.x, y - middle.y))));
  context.font = `12px ${FONT}`;
  for (let ring = 1; ring <= RINGS_MAX && (ring * step) / scale < corner; ring++) {
    const radius = (ring * step) / scale;
    context.strokeStyle = palette.ring;
    context.lineWidth = 1;
    context.beginPath();
    context.arc(middle.x, middle.y, radius, 0, 2 * Math.PI);
    context.stroke();
    text(context, metres(ring * step), middle.x, middle.y - radius + 4, palette, palette.ink);
  }
}

function drawNames(context, view, labels, palette) {
  const taken = [];
  const degree = worldSize(view.zoom) / 360;
  context.font = `12px ${FONT}`;
  for (const [name, longitude, latitude, width] of labels) {
    const { x, y } = place(view, { latitude, longitude });
    const room = width * degree;
    const wide = context.measureText(name).width;
    if (room < wide * 0.9 || x < -wide || x > view.width + wide || y < -20 || y > view.height + 20) continue;
    if (free(taken, { left: x - wide / 2, right: x + wide / 2, top: y - 8, bottom: y + 8 })) {
      text(context, name, x, y, palette, palette.ink);
    }
  }
}

/** Takes the box, if no other label has it. */
function free(taken, box) {
  const clash = taken.some((t) => t.left < box.right && t.right > box.left && t.top < box.bottom && t.bottom > box.top);
  if (!clash) taken.push(box);
  return !clash;
}

function drawIncident(context, view, incident, palette, taken) {
  drawAccuracy(context, view, { ...incident, kind: "incident" }, palette);
  const { x, y } = place(view, incident);
  const head = y - 22;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 11, head + 7);
  context.arc(x, head, 13, Math.PI * 0.82, Math.PI * 2.18);
  context.closePath();
  context.lineWidth = 4;
  context.strokeStyle = palette.halo;
  context.stroke();
  context.fillStyle = palette.incident;
  context.fill();
  context.lineWidth = 3;
  context.strokeStyle = "#fff";
  context.beginPath();
  context.moveTo(x, head - 7);
  context.lineTo(x, head + 1);
  context.moveTo(x, head + 4);
  context.lineTo(x, head + 7);
  context.stroke();
  taken.push({ left: x - 15, right: x + 15, top: head - 15, bottom: y });
}

/** The circle within which somebody is. */
function drawAccuracy(context, view, { latitude, longitude, accuracy, kind }, palette) {
  if (!accuracy) return;
  const radius = accuracy / metresPerPixel(latitude, view.zoom);
  if (radius < 12 || radius > 4000) return;
  const { x, y } = place(view, { latitude, longitude });
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.globalAlpha = 0.15;
  context.fillStyle = palette[kind];
  context.fill();
  context.globalAlpha = 0.8;
  context.lineWidth = 1;
  context.strokeStyle = palette[kind];
  context.stroke();
  context.globalAlpha = 1;
}

function drawPerson(context, view, person, palette, taken) {
  const { x, y } = place(view, person);
  if (x < -20 || y < -20 || x > view.width + 20 || y > view.height + 20) return;
  const colour = palette[person.kind];
  if (Number.isFinite(person.heading) && person.speed > 0.5) drawHeading(context, x, y, person.heading, colour);
  context.beginPath();
  if (person.kind === "me") context.rect(x - 8, y - 8, 16, 16);
  else context.arc(x, y, 9, 0, 2 * Math.PI);
  context.fillStyle = person.old ? palette.halo : colour;
  context.fill();
  context.lineWidth = 3;
  context.strokeStyle = person.old ? colour : palette.halo;
  context.stroke();
  context.font = `600 13px ${FONT}`;
  const wide = context.measureText(person.label).width;
  for (const [dx, dy] of [[0, 22], [0, -20], [wide / 2 + 16, 0], [-wide / 2 - 16, 0], [0, 38]]) {
    const box = { left: x + dx - wide / 2, right: x + dx + wide / 2, top: y + dy - 8, bottom: y + dy + 8 };
    if (!free(taken, box)) continue;
    text(context, person.label, x + dx, y + dy, palette, palette.ink);
    break;
  }
}

function drawHeading(context, x, y, heading, colour) {
  context.save();
  context.translate(x, y);
  context.rotate((heading * Math.PI) / 180);
  context.beginPath();
  context.moveTo(0, -19);
  context.lineTo(6, -10);
  context.lineTo(-6, -10);
  context.closePath();
  context.fillStyle = colour;
  context.fill();
  context.restore();
}

function text(context, words, x, y, palette, colour) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = palette.halo;
  context.strokeText(words, x, y);
  context.fillStyle = colour;
  context.fillText(words, x, y);
}
