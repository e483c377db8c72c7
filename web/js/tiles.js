// Street tiles under the map, when the operator has named a server for them.

import { project, worldSize } from "./geo.js";

const SIZE = 256;
/** Tiles in memory; those seen last are kept. */
const TILES_MAX = 200;
/** Tiles on their way at once. */
const LOADING_MAX = 8;
const RETRY_MS = 10_000;

/** Loads and draws tiles of `{z}/{x}/{y}` addresses. */
export class Tiles {
  #tiles = new Map();
  #loading = 0;

  constructor(url, zoomMax, onLoad) {
    this.url = url;
    this.zoomMax = zoomMax;
    this.onLoad = onLoad;
  }

  /** Draws the tiles that are there and asks for the others. Answers whether the view is covered. */
  draw(context, view) {
    const zoom = Math.max(0, Math.min(this.zoomMax, Math.round(view.zoom)));
    const across = 2 ** zoom;
    const side = (worldSize(view.zoom) / worldSize(zoom)) * SIZE;
    const middle = project(view.centre);
    const left = middle.x * across * side - view.width / 2;
    const top = middle.y * across * side - view.height / 2;
    let covered = true;
    for (let row = Math.floor(top / side); row * side < top + view.height; row++) {
      if (row < 0 || row >= across) continue;
      for (let column = Math.floor(left / side); column * side < left + view.width; column++) {
        const image = this.#tile(zoom, ((column % across) + across) % across, row);
        if (image) context.drawImage(image, column * side - left, row * side - top, side + 0.5, side + 0.5);
        else covered = false;
      }
    }
    return covered;
  }

  #tile(z, x, y) {
    const name = `${z}/${x}/${y}`;
    const tile = this.#tiles.get(name);
    if (tile) {
      this.#tiles.delete(name);
      this.#tiles.set(name, tile);
      return tile.ready ? tile.image : null;
    }
    if (this.#loading < LOADING_MAX) this.#load(name, z, x, y);
    return null;
  }

  #load(name, z, x, y) {
    const tile = { image: new Image(), ready: false };
    this.#tiles.set(name, tile);
    if (this.#tiles.size > TILES_MAX) this.#tiles.delete(this.#tiles.keys().next().value);
    this.#loading += 1;
    const done = () => {
      this.#loading -= 1;
      this.onLoad();
    };
    tile.image.onload = () => {
      tile.ready = true;
      done();
    };
    tile.image.onerror = () => {
      // The coastline stays; the tile is asked for again later.
      setTimeout(() => this.#tiles.delete(name), RETRY_MS);
      done();
    };
    // The tile server may know whose page it is, and not which incident.
    tile.image.referrerPolicy = "origin";
    tile.image.decoding = "async";
    tile.image.src = this.url.replace("{z}", z).replace("{x}", x).replace("{y}", y);
  }
}
