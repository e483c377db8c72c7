// Distances and directions on the globe, and the map's projection (Web Mercator, the one of street tiles).

const RADIUS_M = 6_371_008.8;
const CIRCUMFERENCE_M = 40_075_016.686;
const TILE = 256;
const LATITUDE_MAX = 85.0511287798;
const rad = (degrees) => (degrees * Math.PI) / 180;

/** Metres between two positions. */
export function distance(a, b) {
  const latitude = rad(b.latitude - a.latitude) / 2;
  const longitude = rad(b.longitude - a.longitude) / 2;
  const h =
    Math.sin(latitude) ** 2 + Math.cos(rad(a.latitude)) * Math.cos(rad(b.latitude)) * Math.sin(longitude) ** 2;
  return 2 * RADIUS_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Degrees clockwise from north, from `a` to `b`. */
export function bearing(a, b) {
  const [from, to, turn] = [rad(a.latitude), rad(b.latitude), rad(b.longitude - a.longitude)];
  const y = Math.sin(turn) * Math.cos(to);
  const x = Math.cos(from) * Math.sin(to) - Math.sin(from) * Math.cos(to) * Math.cos(turn);
  return ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
}

const WINDS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"];

/** A bearing in words. */
export function wind(degrees) {
  return WINDS[Math.round(degrees / 45) % 8];
}

/** A distance as people say it. */
export function metres(m) {
  if (m < 10) return `${Math.max(0, Math.round(m))} m`;
  if (m < 1000) return `${m < 100 ? Math.round(m) : Math.round(m / 10) * 10} m`;
  const km = m / 1000;
  return `${km < 10 ? km.toFixed(1) : Math.round(km).toLocaleString("en")} km`;
}

/** A position in digits that can be read out over a phone: five decimals are a metre. */
export function coordinates({ latitude, longitude }) {
  const half = (value, plus, minus) => `${Math.abs(value).toFixed(5)}° ${value < 0 ? minus : plus}`;
  return `${half(latitude, "N", "S")}, ${half(longitude, "E", "W")}`;
}

/** A position on the unit square that is the world. */
export function project({ latitude, longitude }) {
  const clamped = Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, latitude));
  const sine = Math.sin(rad(clamped));
  return { x: longitude / 360 + 0.5, y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) };
}

/** The position of a point of the unit square. */
export function unproject({ x, y }) {
  const latitude = (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
  return { latitude, longitude: (((x % 1) + 1) % 1) * 360 - 180 };
}

/** Pixels that the whole world is wide at a zoom. */
export function worldSize(zoom) {
  return TILE * 2 ** zoom;
}

/** Metres that a pixel is wide at a latitude and zoom. */
export function metresPerPixel(latitude, zoom) {
  return (CIRCUMFERENCE_M * Math.cos(rad(Math.min(Math.abs(latitude), LATITUDE_MAX)))) / worldSize(zoom);
}

/** The greatest of 1, 2, 5, 10, 20 … that is not more than `value`. */
export function roundDown(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = value / power;
  return (digit >= 5 ? 5 : digit >= 2 ? 2 : 1) * power;
}

/** A position typed by somebody; throws what is wrong with it, in words for them. */
export function typedPosition(latitude, longitude) {
  const number = (text, name, most) => {
    const value = Number(String(text).trim().replace(",", "."));
    if (String(text).trim() === "" || !Number.isFinite(value) || Math.abs(value) > most) {
      throw new RangeError(`${name} must be a number from -${most} to ${most}`);
    }
    return value;
  };
  return { latitude: number(latitude, "Latitude", 90), longitude: number(longitude, "Longitude", 180) };
}
