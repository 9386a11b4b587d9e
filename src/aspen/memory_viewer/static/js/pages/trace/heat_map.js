// A heat map on a canvas: rows and columns of values, a cell that can be pointed at or gone to by keyboard, and a table
// with the same behind it.

import { html, useEffect, useRef, useState } from "../../../vendor/view.js";
import { fixed, token } from "../../format.js";
import { colour, useSize, useTheme } from "../../parts/hooks.js";
import { colourOf, scaleOf } from "./colours.js";

const LEFT = 56; // room for the names of rows, CSS pixels
const BAND = 20; // the names of segments above
const LEAST = 5; // a column is never narrower; then the map scrolls
const TOKEN_ROOM = 62; // room below for the tokens, where columns are wide enough to write them

/**
 * `map` has `values` [row][column], `rows` and `columns` as words, `segments` over the columns, a `unit`, and `names`
 * of the rows where they are tokens.
 * Rows are drawn with the last one at the top, as layers are thought of; `topDown` turns that round.
 */
export function HeatMap({ map, both = false, topDown = false, name }) {
  const { values, rows, names, columns, segments = [], unit } = map;
  const frame = useRef(null);
  const canvas = useRef(null);
  const { width } = useSize(frame);
  const theme = useTheme();
  const [at, setAt] = useState(null);
  const scale = scaleOf(values, { both });
  const cell = Math.max(LEAST, Math.min(26, Math.floor((Math.max(width, 200) - LEFT) / Math.max(1, columns.length))));
  const row = Math.max(6, Math.min(18, Math.round(420 / rows.length)));
  const written = cell >= 11;
  const size = { width: LEFT + cell * columns.length, height: BAND + row * rows.length + (written ? TOKEN_ROOM : 8) };
  const rowAt = (line) => (topDown ? line : rows.length - 1 - line);

  useEffect(() => {
    if (!width) return;
    draw(canvas.current, { values, rows, names, columns, segments, scale, cell, row, size, written, rowAt, at });
  }, [map, width, theme, at, both]);

  const point = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - LEFT) / cell);
    const line = Math.floor((event.clientY - box.top - BAND) / row);
    const inside = column >= 0 && column < columns.length && line >= 0 && line < rows.length;
    setAt(inside ? { column, row: rowAt(line) } : null);
  };
  const press = (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, topDown ? -1 : 1], ArrowDown: [0, topDown ? 1 : -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = at ?? { column: 0, row: 0 };
    const inside = (value, length) => Math.max(0, Math.min(length - 1, value));
    const to = { column: inside(from.column + step[0], columns.length), row: inside(from.row + step[1], rows.length) };
    setAt(to);
    const scroller = frame.current;
    const x = LEFT + to.column * cell;
    if (x < scroller.scrollLeft + LEFT || x > scroller.scrollLeft + scroller.clientWidth - cell) scroller.scrollLeft = x - scroller.clientWidth / 2;
  };
  return html`<figure class="heat">
    <div class="heat-frame" ref=${frame} tabindex="0" role="application" aria-roledescription="heat map"
      aria-label=${`${name}: ${rows.length} rows and ${columns.length} columns. The arrow keys go from cell to cell.`} onKeyDown=${press}>
      <canvas ref=${canvas} onPointerMove=${point} onPointerLeave=${() => setAt(null)} aria-hidden="true"></canvas>
    </div>
    <figcaption class="row spaced small">
      <span class="reading" role="status">${at ? reading(map, at) : html`<span class="soft">Point at a cell, or go to it with the arrow keys.</span>`}</span>
      <${Scale} scale=${scale} unit=${unit} />
    </figcaption>
    <${Table} map=${map} name=${name} />
  </figure>`;
}

function reading({ values, rows, columns, unit, segments = [] }, { row, column }) {
  const value = values[row]?.[column];
  const within = segments.find(({ start, stop }) => column >= start && column < stop)?.name;
  return html`<strong class="mono" dir="auto">${token(columns[column])}</strong>
    <span class="soft"> ${within ? `${within} · ` : ""}column ${column} · </span>${rows[row]}
    <span class="soft"> · </span>${value === null || value === undefined ? "no value" : `${fixed(value, 3)} ${unit}`}`;
}

function Scale({ scale, unit }) {
  const strip = useRef(null);
  useEffect(() => {
    const context = strip.current.getContext("2d");
    for (let x = 0; x < 120; x += 1) {
      context.fillStyle = `rgb(${colourOf(scale.low + ((scale.high - scale.low) * x) / 119, scale).join()})`;
      context.fillRect(x, 0, 1, 10);
    }
  });
  return html`<span class="scale"><span class="number">${fixed(scale.low)}</span><canvas ref=${strip} width="120" height="10" aria-hidden="true"></canvas><span class="number">${fixed(scale.high)} ${unit}</span></span>`;
}

/** The numbers themselves, made only when they are asked for. */
function Table({ map, name }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.currentTarget.open)}><summary class="small">The same as a table</summary>
    ${open ? html`<div class="scroll-both" tabindex="0" role="region" aria-label=${`${name} as a table`}><table class="small"><caption>${name}, ${map.unit}</caption>
      <thead><tr><th scope="col">Token</th>${map.rows.map((word) => html`<th key=${word} scope="col" class="number">${word}</th>`)}</tr></thead>
      <tbody>${map.columns.map((word, column) => html`<tr key=${column}><th scope="row" class="mono">${token(word)}</th>
        ${map.rows.map((_, row) => { const value = map.values[row]?.[column]; return html`<td key=${row} class="number">${value === null || value === undefined ? "" : fixed(value)}</td>`; })}</tr>`)}</tbody>
    </table></div>` : null}
  </details>`;
}

/** The colours of all cells, each drawn as one pixel and then made as large as it is shown. */
function pixels({ values, scale, rows, columns, rowAt }) {
  const picture = new ImageData(columns.length, rows.length);
  for (let line = 0; line < rows.length; line += 1) {
    for (let column = 0; column < columns.length; column += 1) {
      const value = values[rowAt(line)]?.[column];
      if (value === null || value === undefined) continue;
      picture.data.set([...colourOf(value, scale), 255], 4 * (line * columns.length + column));
    }
  }
  const small = new OffscreenCanvas(columns.length, rows.length);
  small.getContext("2d").putImageData(picture, 0, 0);
  return small;
}

function draw(canvas, map) {
  const { rows, names, columns, segments, cell, row, size, written, rowAt, at } = map;
  const ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: size.width * ratio, height: size.height * ratio });
  Object.assign(canvas.style, { width: `${size.width}px`, height: `${size.height}px` });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const [ink, soft, line] = [colour("--ink"), colour("--ink-soft"), colour("--line")];
  const font = getComputedStyle(document.body).fontFamily;
  const bottom = BAND + row * rows.length;
  if (columns.length && rows.length) {
    context.imageSmoothingEnabled = false;
    context.drawImage(pixels(map), LEFT, BAND, cell * columns.length, row * rows.length);
  }

  context.font = `11px ${font}`;
  context.textBaseline = "middle";
  context.fillStyle = soft;
  context.textAlign = "right";
  const every = Math.ceil(14 / row);
  rows.forEach((word, index) => {
    const shown = topDownIndex(index, rows, rowAt);
    const text = names ? token(names[index]).slice(0, 9) : word.replace(/^layer /, "");
    if (shown % every === 0) context.fillText(text, LEFT - 6, BAND + (shown + 0.5) * row, LEFT - 8);
  });

  context.textAlign = "left";
  for (const { name, start, stop } of segments) {
    const [from, to] = [LEFT + start * cell, LEFT + Math.min(stop, columns.length) * cell];
    if (to <= from) continue;
    context.fillStyle = line;
    context.fillRect(from, BAND - 3, to - from - 1, 2);
    context.fillStyle = soft;
    if (context.measureText(name).width < to - from - 2) context.fillText(name, from + 1, BAND - 11);
  }

  if (written) {
    context.font = `11px ${getComputedStyle(document.documentElement).getPropertyValue("--mono")}`;
    context.fillStyle = ink;
    columns.forEach((word, column) => {
      context.save();
      context.translate(LEFT + (column + 0.5) * cell, bottom + 6);
      context.rotate(Math.PI / 2);
      context.fillText(token(word).slice(0, 9), 0, 0, TOKEN_ROOM - 8);
      context.restore();
    });
  }

  if (at) {
    const shown = topDownIndex(at.row, rows, rowAt);
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(LEFT + at.column * cell - 1, BAND + shown * row - 1, cell + 2, row + 2);
    context.lineWidth = 1;
    context.globalAlpha = 0.5;
    context.strokeRect(LEFT + at.column * cell + 0.5, BAND + 0.5, cell - 1, row * rows.length - 1);
  }
}

const topDownIndex = (row, rows, rowAt) => (rowAt(0) === 0 ? row : rows.length - 1 - row);
