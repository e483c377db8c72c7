// The map as something to look at and move: by finger, mouse, wheel and keys. What it shows is also told in words
// beside it; nobody needs it to know where people are.

import { metres, metresPerPixel, project, roundDown, unproject, worldSize } from "./geo.js";
import { Atlas } from "./mapdata.js";
import { colours, draw, place, positionAt } from "./mapdraw.js";
import { oncePerFrame } from "./dom.js";
import { Tiles } from "./tiles.js";

const ZOOM_MIN = 0.5;
const ZOOM_MAX = 20;
/** Round an incident with nobody else on the map: some 400 m to each side. */
const ZOOM_ALONE = 16;
const STEP_PIXELS = 60;
const MARGIN_PIXELS = 48;
const SCALE_PIXELS = 110;
const DOUBLE_TAP_MS = 300;

/** `parts`: the elements of the page that make it up; `settings`: where its data are, and the tiles. */
export class MapView {
  #incident = null;
  #people = [];
  #touched = false;
  #pointers = new Map();
  #tapped = 0;

  constructor(parts, settings) {
    this.parts = parts;
    this.context = parts.canvas.getContext("2d");
    this.view = { centre: { latitude: 15, longitude: 0 }, zoom: 1, width: 0, height: 0 };
    this.redraw = oncePerFrame(() => this.#draw());
    this.atlas = new Atlas(settings.assets, this.redraw);
    this.tiles = settings.tileUrl ? new Tiles(settings.tileUrl, settings.tileZoomMax, this.redraw) : null;
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(parts.frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.palette = null;
      this.redraw();
    });
  }

  /** What to show: the incident's place (or `null`) and people `{latitude, longitude, accuracy, label, kind, old}`. */
  set(incident, people) {
    const others = people.length !== this.#people.length || (incident === null) !== (this.#incident === null);
    this.#incident = incident;
    this.#people = people;
    // It follows by itself until somebody moves it, and then only when somebody would be off the map.
    if (!this.#touched && (others || !this.#showsAll())) this.fit();
    else this.redraw();
  }

  #showsAll() {
    const { width, height } = this.view;
    return [...(this.#incident ? [this.#incident] : []), ...this.#people].every((point) => {
      const { x, y } = place(this.view, point);
      return x > 0 && y > 0 && x < width && y < height;
    });
  }

  /** The middle of the map. */
  get centre() {
    return this.view.centre;
  }

  /** Shows the incident and everybody. */
  fit() {
    const points = [...(this.#incident ? [this.#incident] : []), ...this.#people];
    if (points.length === 0 || this.view.width === 0) return this.redraw();
    const middle = project(points[0]);
    const near = points.map((point) => {
      const { x, y } = project(point);
      return { x: x - Math.round(x - middle.x), y };
    });
    const [xs, ys] = [near.map(({ x }) => x), near.map(({ y }) => y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const wide = (this.view.width - 2 * MARGIN_PIXELS) / Math.max(right - left, 1e-9);
    const high = (this.view.height - 2 * MARGIN_PIXELS) / Math.max(bottom - top, 1e-9);
    const zoom = Math.log2(Math.max(1, Math.min(wide, high)) / 256);
    this.view.zoom = Math.max(ZOOM_MIN, Math.min(ZOOM_ALONE, zoom));
    this.view.centre = unproject({ x: (left + right) / 2, y: (top + bottom) / 2 });
    this.redraw();
  }

  #listen() {
    const { frame, zoomIn, zoomOut, home } = this.parts;
    zoomIn.addEventListener("click", () => this.#zoom(1));
    zoomOut.addEventListener("click", () => this.#zoom(-1));
    home.addEventListener("click", () => {
      this.#touched = false;
      this.fit();
    });
    frame.addEventListener("keydown", (event) => this.#key(event));
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, (event) => this.#up(event));
  }

  #key(event) {
    if (event.target !== this.parts.frame || event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = {
      ArrowLeft: [-STEP_PIXELS, 0], ArrowRight: [STEP_PIXELS, 0], ArrowUp: [0, -STEP_PIXELS], ArrowDown: [0, STEP_PIXELS],
    };
    if (moves[event.key]) this.#pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.#zoom(1);
    else if (event.key === "-" || event.key === "_") this.#zoom(-1);
    else if (event.key === "0" || event.key === "Home") this.parts.home.click();
    else return;
    event.preventDefault();
  }

  /** The wheel scrolls the page, unless the map has been chosen or a key says that it means the map. */
  #wheel(event) {
    const chosen = document.activeElement === this.parts.frame || event.ctrlKey || event.metaKey;
    if (!chosen) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const { x, y } = this.#point(event);
    this.#zoom((-event.deltaY * lines) / (event.ctrlKey ? 100 : 300), x, y);
  }

  #point(event) {
    const box = this.parts.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  #down(event) {
    if (event.target.closest("button, a")) return;
    this.parts.frame.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, this.#point(event));
    if (this.#pointers.size > 1) return;
    const now = event.timeStamp;
    if (now - this.#tapped < DOUBLE_TAP_MS) {
      const { x, y } = this.#point(event);
      this.#zoom(1, x, y);
      this.#tapped = 0;
    } else this.#tapped = now;
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#point(event);
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
    this.#pointers.set(event.pointerId, now);
    if (Math.hypot(now.x - before.x, now.y - before.y) > 2) this.#tapped = 0;
    if (others.length === 0) return this.#pan(before.x - now.x, before.y - now.y);
    const other = others[0];
    const [was, is] = [before, now].map((p) => Math.max(1, Math.hypot(p.x - other.x, p.y - other.y)));
    this.#pan((before.x - now.x) / 2, (before.y - now.y) / 2);
    this.#zoom(Math.log2(is / was), (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  #up(event) {
    this.#pointers.delete(event.pointerId);
  }

  #pan(dx, dy) {
    this.#touched = true;
    const size = worldSize(this.view.zoom);
    const { x, y } = project(this.view.centre);
    this.view.centre = unproject({ x: x + dx / size, y: Math.max(0, Math.min(1, y + dy / size)) });
    this.redraw();
  }

  /** Zooms so that the point under the finger stays there. */
  #zoom(by, x = this.view.width / 2, y = this.view.height / 2) {
    this.#touched = true;
    const fixed = positionAt(this.view, x, y);
    this.view.zoom = Math.max(ZOOM_MIN, Math.min(ZOOM_MAX, this.view.zoom + by));
    const after = place(this.view, fixed);
    this.#pan(after.x - x, after.y - y);
  }

  #resize() {
    const { frame, canvas } = this.parts;
    const { clientWidth, clientHeight } = frame;
    if (clientWidth === this.view.width && clientHeight === this.view.height) return;
    const ratio = Math.min(3, devicePixelRatio || 1);
    this.view.width = clientWidth;
    this.view.height = clientHeight;
    canvas.width = Math.round(clientWidth * ratio);
    canvas.height = Math.round(clientHeight * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (this.#touched) this.redraw();
    else this.fit();
  }

  #draw() {
    if (this.view.width === 0) return;
    this.palette ??= colours(this.parts.frame);
    const scene = { atlas: this.atlas, tiles: this.tiles, incident: this.#incident, people: this.#people, palette: this.palette };
    draw(this.context, this.view, scene);
    this.#scale();
    this.parts.frame.dataset.zoom = this.view.zoom.toFixed(2);
  }

  /** The scale bar: a round number of metres. */
  #scale() {
    const scale = metresPerPixel(this.view.centre.latitude, this.view.zoom);
    const length = roundDown(scale * SCALE_PIXELS);
    this.parts.scale.style.width = `${Math.round(length / scale)}px`;
    this.parts.scale.textContent = metres(length);
  }
}
