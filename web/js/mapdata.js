// The coastlines and borders that the engine carries (web/map/README.md tells the format), loaded as far as the view
// needs them: the world in little, and cells of ten degrees where somebody looks closely.

/** Zooms from which the finer scales are drawn. */
const MIDDLE_ZOOM = 3;
const FINE_ZOOM = 5.2;
/** Cells asked for in one view, and cells kept. */
const VIEW_CELLS_MAX = 40;
const CELLS_MAX = 120;

/** Loads what a view needs; calls `onLoad` when something has come. */
export class Atlas {
  constructor(base, onLoad) {
    this.base = base;
    this.onLoad = onLoad;
    this.sheets = new Map();
    this.index = null;
    this.#loadIndex();
  }

  /** What to draw in this box of degrees at this zoom, the best that is there; asks for better. */
  sheetsFor(box, zoom) {
    if (zoom < MIDDLE_ZOOM) return this.#these(["world-110m.bin"]);
    if (zoom < FINE_ZOOM || !this.index) return this.#these(["world-50m.bin"]) ?? this.#these(["world-110m.bin"]);
    const cells = this.#cells(box);
    if (cells === null) return this.#these(["world-50m.bin"]);
    return this.#these(cells);
  }

  /** The countries' names: name, longitude, latitude, width in degrees; the widest first. */
  get labels() {
    return this.index?.labels ?? [];
  }

  #these(names) {
    const sheets = names.map((name) => this.#sheet(name));
    return sheets.includes(undefined) && names.length === 1 ? null : sheets.filter(Boolean);
  }

  /** The cells of a box that have land in them; `null` when there are too many. */
  #cells({ west, south, east, north }) {
    const size = this.index.cellDegrees;
    const names = [];
    const columns = 360 / size;
    for (let row = Math.floor((south + 90) / size); row <= Math.floor((north + 90) / size); row++) {
      for (let column = Math.floor((west + 180) / size); column <= Math.floor((east + 180) / size); column++) {
        const wrapped = ((column % columns) + columns) % columns;
        if (this.index.cells[row]?.[wrapped] === "1") names.push(`cell/${wrapped}/${row}`);
      }
    }
    return names.length > VIEW_CELLS_MAX ? null : names;
  }

  /** A sheet that is there; `undefined` while it is on its way. */
  #sheet(name) {
    if (this.sheets.has(name)) {
      const sheet = this.sheets.get(name);
      // The ones used last are kept.
      this.sheets.delete(name);
      this.sheets.set(name, sheet);
      return sheet ?? undefined;
    }
    this.sheets.set(name, null);
    for (const old of this.sheets.keys()) {
      if (this.sheets.size <= CELLS_MAX) break;
      this.sheets.delete(old);
    }
    this.#load(name);
    return undefined;
  }

  async #load(name) {
    try {
      const response = await fetch(`${this.base}/map/${name}`);
      if (!response.ok) throw new Error(String(response.status));
      const sheet = decode(await response.arrayBuffer());
      this.sheets.set(name, sheet);
      this.onLoad();
    } catch {
      // Asked for again when somebody looks there again, but not in every frame.
      setTimeout(() => this.sheets.delete(name), 5000);
    }
  }

  async #loadIndex() {
    try {
      this.index = await (await fetch(`${this.base}/map/index.json`)).json();
      this.onLoad();
    } catch {
      setTimeout(() => this.#loadIndex(), 5000);
    }
  }
}

/** Bytes to land and borders on the unit square of the projection. */
export function decode(buffer) {
  const view = new DataView(buffer);
  const bytes = new Uint8Array(buffer);
  if (view.getUint32(0) !== 0x4d594d31) throw new Error("not a map");
  const [unitX, unitY, fromX, fromY] = [4, 12, 20, 28].map((at) => view.getFloat64(at, true));
  const edge = [36, 40, 44, 48].map((at) => view.getInt32(at, true));
  let at = 52;
  const varint = () => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = bytes[at++];
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
      shift += 7;
    }
  };
  const step = () => {
    const value = varint();
    return value & 1 ? -((value + 1) / 2) : value / 2;
  };
  let [x, y] = [edge[0], edge[1]];
  const shapes = () => {
    const list = new Array(varint());
    for (let n = 0; n < list.length; n++) list[n] = shape();
    return list;
  };
  const shape = () => {
    const points = varint();
    const xy = new Float64Array(points * 2);
    const onEdge = new Uint8Array(points);
    const box = { west: Infinity, south: -Infinity, east: -Infinity, north: Infinity };
    for (let n = 0; n < points; n++) {
      x += step();
      y += step();
      onEdge[n] = (x === edge[0] ? 1 : 0) | (y === edge[1] ? 2 : 0) | (x === edge[2] ? 4 : 0) | (y === edge[3] ? 8 : 0);
      const px = (fromX + x * unitX) / 360 + 0.5;
      const py = mercator(fromY + y * unitY);
      xy[2 * n] = px;
      xy[2 * n + 1] = py;
      box.west = Math.min(box.west, px);
      box.east = Math.max(box.east, px);
      box.north = Math.min(box.north, py);
      box.south = Math.max(box.south, py);
    }
    return { xy, onEdge, box };
  };
  return { land: shapes(), borders: shapes() };
}

function mercator(latitude) {
  const sine = Math.sin((Math.max(-85.0511287798, Math.min(85.0511287798, latitude)) * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}
