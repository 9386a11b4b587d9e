// The picture of the graph: sigma with the viewer's shapes and colours. It knows nothing of where the graph comes from.

import { EdgeRectangleProgram, MultiDirectedGraph } from "../../../vendor/graph.js";
import { cut } from "../../format.js";
import { colour, stillness } from "../../parts/hooks.js";
import { batched } from "./batched.js";
import { relationKey } from "../../parts/relations.js";
import { MemoryProgram, shared } from "./node_program.js";
import { Picture } from "./picture.js";

const NAMED = 5; // so many of the most active memories have a label, come what may
const LINE = 16; // pixels that a label is high
const PULSES = 250; // of the strongest edges of a hop, so many show what travels over them

/** Where a memory begins before it is laid out: the same place each time, from its id. */
function firstPlace(id) {
  let hash = 2166136261;
  for (const letter of id) hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  const angle = ((hash >>> 16) / 65536) * 2 * Math.PI;
  return { x: Math.cos(angle) * (hash & 0xff), y: Math.sin(angle) * (hash & 0xff) };
}

export class Drawing {
  /** Draw into `container`; `onChoose(id)` for a click on a memory, `onOpen(id)` for a double one. */
  constructor(container, { onChoose, onOpen }) {
    this.graph = new MultiDirectedGraph();
    this.hidden = { types: new Set(), relations: new Set() };
    this.glow = new Map();
    this.lit = new Map();
    this.named = new Set();
    this.labels = []; // of the frame that is being drawn
    this.chosen = null;
    this.hovered = null;
    this.played = false;
    this.font = `500 12px ${getComputedStyle(document.body).fontFamily}`;
    this.readColours();
    this.sigma = new Picture(this.graph, container, {
      nodeProgramClasses: { memory: batched(MemoryProgram) },
      edgeProgramClasses: { line: batched(EdgeRectangleProgram) },
      defaultNodeType: "memory",
      defaultEdgeType: "line",
      nodeReducer: (id, data) => this.nodeShown(id, data),
      edgeReducer: (key, data) => this.edgeShown(key, data),
      labelFont: getComputedStyle(document.body).fontFamily,
      labelSize: 12,
      labelWeight: "500",
      labelColor: { attribute: "labelColor" },
      labelDensity: 0.35,
      labelGridCellSize: 150,
      labelRenderedSizeThreshold: 5,
      defaultDrawNodeHover: (context, data) => this.drawLabel(context, data),
      defaultDrawNodeLabel: (context, data) => this.labels.push({ context, data }),
      zIndex: true,
      hideLabelsOnMove: true, // labels are drawn by the processor, and moving has to be smooth
      minEdgeThickness: 0.6,
      minCameraRatio: 0.03,
      maxCameraRatio: 4,
      stagePadding: 40,
    });
    this.overlay = this.sigma.createCanvas("pulses", { style: { pointerEvents: "none" } });
    this.sigma.on("clickNode", ({ node }) => onChoose(node));
    this.sigma.on("doubleClickNode", (event) => {
      event.preventSigmaDefault();
      onOpen(event.node);
    });
    this.sigma.on("clickStage", () => onChoose(null));
    this.sigma.on("enterNode", ({ node }) => this.hover(node));
    this.sigma.on("leaveNode", () => this.hover(null));
    this.sigma.on("afterRender", () => {
      this.drawLabels();
      this.drawPulses();
    });
  }

  readColours() {
    const types = ["self", "belief", "pattern", "episodic", "semantic"];
    this.colours = Object.fromEntries(types.map((type) => [type, colour(`--type-${type}`)]));
    this.ink = colour("--ink");
    this.ground = colour("--ground");
    this.line = mixed(colour("--edge"), this.ground, 0.5);
    this.faint = mixed(colour("--edge"), this.ground, 0.82);
    this.halo = colour("--focus");
    const strength = document.documentElement.dataset.theme === "dark" ? 0.8 : 0.5;
    Object.assign(shared, { halo: unit(this.halo), strength, ink: unit(this.ink), ground: unit(this.ground) });
    this.dimmed = Object.fromEntries(types.map((type) => [type, mixed(this.colours[type], this.ground, 0.72)]));
  }

  /** Take over the colours of the style sheet, after light changed to dark or back. */
  recolour() {
    this.readColours();
    this.redraw();
  }

  /** Add nodes and edges as the API tells them; those that are there stay where they are. Returns how many are new. */
  add({ nodes, edges }, { near = null } = {}) {
    let added = 0;
    const longest = this.sigma.getDimensions().width < 600 ? 26 : 42; // characters of a label
    const around = near && this.graph.hasNode(near) ? this.graph.getNodeAttributes(near) : null;
    for (const node of nodes) {
      if (this.graph.hasNode(node.id)) continue;
      const place = firstPlace(node.id);
      const at = around ? { x: around.x + place.x / 40, y: around.y + place.y / 40 } : place;
      this.graph.addNode(node.id, {
        ...at, label: cut(node.text.replace(/\s+/g, " "), longest), size: 3 + 6 * Math.sqrt(node.priority ?? 0.3),
        memoryType: node.type, text: node.text, priority: node.priority ?? null,
      });
      added += 1;
    }
    for (const edge of edges) {
      const key = relationKey(edge);
      if (this.graph.hasEdge(key) || !this.graph.hasNode(edge.source) || !this.graph.hasNode(edge.target)) continue;
      const { source, target, type, relation, weight } = edge;
      this.graph.addEdgeWithKey(key, source, target, { relation: type ?? relation, weight });
    }
    return added;
  }

  /** Draw anew with the next frame; places and what is there have not changed. */
  redraw() {
    if (this.killed) return; // what stands on it is taken away after it, and tells it so
    this.sigma.refresh({ skipIndexation: true, schedule: true });
  }

  /** Draw anew what is lit; all of it where sigma has not taken up yet what was added. */
  redrawLit() {
    if (this.sigma.needToProcess) {
      this.redraw();
      return;
    }
    const nodes = [...this.glow.keys()].filter((id) => this.graph.hasNode(id));
    const edges = [...this.lit.keys()].filter((key) => this.graph.hasEdge(key));
    this.sigma.refresh({ skipIndexation: true, schedule: true, partialGraph: { nodes, edges } });
  }

  nodeShown(id, data) {
    const hidden = this.hidden.types.has(data.memoryType);
    const glow = this.glow.get(id) ?? 0;
    const near = this.focus && (id === this.focus || this.graph.areNeighbors(id, this.focus));
    const dim = this.focus ? !near : this.played && glow === 0;
    const strong = id === this.chosen || id === this.hovered;
    return {
      ...data, hidden, glow, ring: id === this.chosen ? 1 : id === this.hovered ? 0.6 : 0,
      color: (dim ? this.dimmed : this.colours)[data.memoryType] ?? this.line,
      size: data.size * (1 + 0.9 * glow),
      labelColor: dim ? this.line : this.ink,
      forceLabel: strong || this.named.has(id),
      label: (dim || (this.played && glow < 0.2)) && !strong ? "" : data.label,
      zIndex: strong ? 3 : glow > 0 ? 2 : dim ? 0 : 1,
    };
  }

  edgeShown(key, data) {
    const lit = this.lit.get(key) ?? 0;
    const [source, target] = this.graph.extremities(key);
    const hidden = this.hidden.relations.has(data.relation);
    if (lit > 0) {
      const color = mixed(this.halo, this.ground, 0.75 - 0.75 * Math.sqrt(lit));
      return { ...data, hidden, color, size: 1 + 4 * lit, zIndex: 2 };
    }
    if (this.focus) {
      const near = source === this.focus || target === this.focus;
      return near
        ? { ...data, hidden, color: this.ink, size: 0.8 + 2 * data.weight, zIndex: 1 }
        : { ...data, hidden, color: this.faint, size: 0.5, zIndex: 0 };
    }
    return { ...data, hidden, color: this.played ? this.faint : this.line, size: 0.4 + 1.4 * data.weight, zIndex: 0 };
  }

  get focus() {
    return this.played ? null : this.chosen ?? this.hovered;
  }

  hover(id) {
    this.hovered = id;
    this.sigma.getContainer().style.cursor = id ? "pointer" : "";
    this.redraw();
  }

  choose(id) {
    this.chosen = id && this.graph.hasNode(id) ? id : null;
    this.redraw();
  }

  /** Bring a memory to the middle. */
  async show(id) {
    const data = this.sigma.getNodeDisplayData(id);
    if (!data) return;
    const camera = this.sigma.getCamera();
    const duration = stillness() ? 0 : 350;
    await camera.animate({ x: data.x, y: data.y, ratio: Math.min(camera.ratio, 0.35) }, { duration });
  }

  hide({ types, relations }) {
    this.hidden = { types, relations };
    this.redraw();
  }

  /** Show activation: `glow` in [0, 1] by id, `lit` in [0, 1] by edge, `pulses` [{source, target, share, strength}]. */
  light({ glow, lit, pulses }) {
    const most = [...glow].sort((one, other) => other[1] - one[1]).slice(0, NAMED);
    // From one moment to the next only what is lit changes, unless more of them are.
    const same = this.played && glow.size === this.glow.size && lit.size === this.lit.size;
    Object.assign(this, { glow, lit, pulses, played: true, named: new Set(most.map(([id]) => id)) });
    this.sigma.stir();
    if (same) this.redrawLit();
    else this.redraw();
  }

  unlight() {
    Object.assign(this, { glow: new Map(), lit: new Map(), pulses: [], named: new Set(), played: false });
    this.redraw();
  }

  /** What travels over the edges at this moment, as dots on their way. */
  drawPulses() {
    const { width, height } = this.sigma.getDimensions();
    const ratio = window.devicePixelRatio || 1;
    if (this.overlay.width !== Math.round(width * ratio) || this.overlay.height !== Math.round(height * ratio)) {
      Object.assign(this.overlay, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
      Object.assign(this.overlay.style, { width: `${width}px`, height: `${height}px` });
    }
    const context = this.overlay.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = this.halo;
    for (const { source, target, share, strength } of (this.pulses ?? []).slice(0, PULSES)) {
      if (!this.graph.hasNode(source) || !this.graph.hasNode(target)) continue;
      const from = this.sigma.graphToViewport(this.graph.getNodeAttributes(source));
      const to = this.sigma.graphToViewport(this.graph.getNodeAttributes(target));
      context.beginPath();
      const [x, y] = [from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share];
      context.arc(x, y, 2 + 4 * Math.sqrt(strength), 0, 7);
      context.fill();
    }
  }

  /** The labels of this frame, the most active memories first; one that would run into another is left out. */
  drawLabels() {
    const weight = ({ data }) => (data.ring ? 2 : 0) + (data.glow ?? 0) + data.size / 1000;
    const taken = [];
    for (const { context, data } of this.labels.sort((one, other) => weight(other) - weight(one))) {
      context.font = this.font;
      const [left, top] = [data.x + data.size, data.y - LINE / 2];
      const box = { left, top, right: left + 5 + context.measureText(data.label ?? "").width, bottom: top + LINE };
      if (taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      this.drawLabel(context, data);
    }
    this.labels = [];
  }

  /** A label with the ground behind it, so that it can be read over edges. */
  drawLabel(context, data) {
    if (!data.label) return;
    context.font = this.font;
    const x = data.x + data.size + 5;
    const y = data.y + 4;
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = this.ground;
    context.strokeText(data.label, x, y);
    context.fillStyle = data.labelColor ?? this.ink;
    context.fillText(data.label, x, y);
  }

  kill() {
    this.killed = true;
    this.sigma.kill();
  }
}

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const unit = (hex) => channels(hex).map((value) => value / 255);

/** A colour on the way to another one: `share` in [0, 1] of the second. */
function mixed(one, other, share) {
  const second = channels(other);
  const between = channels(one).map((value, at) => Math.round(value + (second[at] - value) * share));
  return `#${between.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

const overlap = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
