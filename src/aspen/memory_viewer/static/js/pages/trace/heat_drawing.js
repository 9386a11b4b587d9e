// How a heat map is drawn on a canvas: its cells, the names of rows, segments and tokens; and the whole as a picture
// for a file, which tells its title, its unit and its scale by itself.

import { token } from "../../format.js";
import { colour } from "../../parts/hooks.js";
import { colourOf, endsOf } from "./colours.js";

export const LEFT = 56; // room for the names of rows, CSS pixels
export const BAND = 20; // the names of segments above
const LEAST = 5; // a column is never narrower; then the map scrolls
const MOST = 26;
const READABLE = 11; // from this width on the tokens are written
const TOKEN_ROOM = 62; // room below for them
const LONGEST = 16_000; // pixels; browsers refuse canvases that are much wider
const STRIP = { width: 120, height: 10 };

/** Where everything of a map lies, in CSS pixels, where there are `room` of them to the side. */
export function layoutOf({ rows, columns }, { room, topDown }) {
  const fitting = Math.floor((Math.max(room, 200) - LEFT) / Math.max(1, columns.length));
  const cell = Math.max(LEAST, Math.min(MOST, fitting));
  const row = Math.max(6, Math.min(18, Math.round(420 / rows.length)));
  const written = cell >= READABLE;
  return {
    cell,
    row,
    written,
    width: LEFT + cell * columns.length,
    height: BAND + row * rows.length + (written ? TOKEN_ROOM : 8),
    /** Which row is on a line from the top; and the other way round, which is the same. */
    turned: (line) => (topDown ? line : rows.length - 1 - line),
  };
}

/** Make a canvas as large as told, with as many pixels as the screen or file has, and draw on it. */
export function paint(canvas, { width, height }, ratio, draw) {
  Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  draw(context);
}

/** The colours of all cells, each drawn as one pixel and then made as large as it is shown. */
function pixels({ values, rows, columns }, scale, turned) {
  const picture = new ImageData(columns.length, rows.length);
  for (let line = 0; line < rows.length; line += 1) {
    for (let column = 0; column < columns.length; column += 1) {
      const value = values[turned(line)]?.[column];
      if (value === null || value === undefined) continue;
      const [red, green, blue] = colourOf(value, scale);
      const place = 4 * (line * columns.length + column);
      picture.data[place] = red;
      picture.data[place + 1] = green;
      picture.data[place + 2] = blue;
      picture.data[place + 3] = 255;
    }
  }
  const small = new OffscreenCanvas(columns.length, rows.length);
  small.getContext("2d").putImageData(picture, 0, 0);
  return small;
}

/** The cells of a map and the words around them, from the upper left corner of the context on. */
export function drawMap(context, map, layout, scale) {
  const { rows, columns } = map;
  const { cell, row } = layout;
  if (columns.length && rows.length) {
    context.imageSmoothingEnabled = false;
    const small = pixels(map, scale, layout.turned);
    context.drawImage(small, LEFT, BAND, cell * columns.length, row * rows.length);
  }
  context.textBaseline = "middle";
  nameRows(context, map, layout);
  nameSegments(context, map, layout);
  if (layout.written) writeTokens(context, map, layout);
}

const bodyFont = () => getComputedStyle(document.body).fontFamily;

function nameRows(context, { rows, names }, { row, turned }) {
  context.font = `11px ${bodyFont()}`;
  context.fillStyle = colour("--ink-soft");
  context.textAlign = "right";
  const every = Math.ceil(14 / row);
  rows.forEach((word, index) => {
    const line = turned(index);
    const text = names ? token(names[index]).slice(0, 9) : word.replace(/^layer /, "");
    if (line % every === 0) context.fillText(text, LEFT - 6, BAND + (line + 0.5) * row, LEFT - 8);
  });
  context.textAlign = "left";
}

function nameSegments(context, { columns, segments = [] }, { cell }) {
  const [soft, line] = [colour("--ink-soft"), colour("--line")];
  for (const { name, start, stop } of segments) {
    const [from, to] = [LEFT + start * cell, LEFT + Math.min(stop, columns.length) * cell];
    if (to <= from) continue;
    context.fillStyle = line;
    context.fillRect(from, BAND - 3, to - from - 1, 2);
    context.fillStyle = soft;
    if (context.measureText(name).width < to - from - 2) context.fillText(name, from + 1, BAND - 11);
  }
}

function writeTokens(context, { rows, columns }, { cell, row }) {
  context.font = `11px ${colour("--mono")}`;
  context.fillStyle = colour("--ink");
  columns.forEach((word, column) => {
    context.save();
    context.translate(LEFT + (column + 0.5) * cell, BAND + row * rows.length + 6);
    context.rotate(Math.PI / 2);
    context.fillText(token(word).slice(0, 9), 0, 0, TOKEN_ROOM - 8);
    context.restore();
  });
}

/** The colours from the least to the most, at the upper left corner of the context. */
export function drawStrip(context, scale) {
  for (let x = 0; x < STRIP.width; x += 1) {
    const value = scale.low + ((scale.high - scale.low) * x) / (STRIP.width - 1);
    context.fillStyle = `rgb(${colourOf(value, scale).join()})`;
    context.fillRect(x, 0, 1, STRIP.height);
  }
}

/**
 * A map as a picture of its own: `title` and what it is `about` above it, then its scale with the unit. Nothing of
 * where somebody points is on it. It is as wide as the tokens need to be read, where a canvas can be as wide as that.
 */
export function pictureOf(map, { title, about, scale, topDown }) {
  const [around, head] = [16, 72];
  const readable = LEFT + 14 * map.columns.length;
  const layout = layoutOf(map, { room: readable < LONGEST / 2 ? readable : 0, topDown });
  const size = {
    width: Math.max(layout.width, 560) + 2 * around,
    height: head + layout.height + 2 * around,
  };
  const canvas = document.createElement("canvas");
  paint(canvas, size, Math.min(2, LONGEST / size.width), (context) => {
    context.fillStyle = colour("--ground");
    context.fillRect(0, 0, size.width, size.height);
    context.translate(around, around);
    context.textBaseline = "top";
    const room = size.width - 2 * around;
    context.fillStyle = colour("--ink");
    context.font = `600 15px ${bodyFont()}`;
    context.fillText(title, 0, 0, room);
    context.fillStyle = colour("--ink-soft");
    context.font = `11px ${bodyFont()}`;
    context.fillText(about, 0, 22, room);
    const [low, high] = endsOf(scale);
    const lowWidth = context.measureText(low).width + 8;
    context.fillText(low, 0, 44);
    context.fillText(`${high} ${map.unit}`, lowWidth + STRIP.width + 8, 44);
    context.save();
    context.translate(lowWidth, 44);
    drawStrip(context, scale);
    context.restore();
    context.translate(0, head);
    drawMap(context, map, layout, scale);
  });
  return canvas;
}
