// How a memory is drawn by WebGL: its type's shape, a halo as bright as it is active, and a ring where it is chosen.

import { floatColor, NodeProgram } from "../../../vendor/graph.js";

const SHAPES = { episodic: 0, self: 1, belief: 2, pattern: 3, semantic: 4 };
const HALO = 2.2; // radii that the halo of a fully active memory reaches beyond its shape

const VERTEX = `
attribute vec4 a_id;
attribute vec4 a_color;
attribute vec2 a_position;
attribute float a_size;
attribute float a_shape;
attribute float a_glow;
attribute float a_ring;
attribute vec2 a_corner;
uniform mat3 u_matrix;
uniform float u_sizeRatio;
uniform float u_correctionRatio;
varying vec4 v_color;
varying vec2 v_place;
varying float v_shape;
varying float v_glow;
varying float v_ring;
varying float v_feather;
const float bias = 255.0 / 254.0;

void main() {
  // A square around all that is drawn, and no more, for each pixel costs; v_place is 1 at the radius of the shape.
  float reach = 1.25 + 0.2 * a_ring + a_glow * ${HALO.toFixed(1)};
  vec2 corner = reach * a_corner;
  float radius = a_size * u_correctionRatio / u_sizeRatio * 2.0;
  gl_Position = vec4((u_matrix * vec3(a_position + corner * radius, 1)).xy, 0, 1);
  v_place = corner;
  v_shape = a_shape;
  v_glow = a_glow;
  v_ring = a_ring;
  v_feather = 2.0 * u_correctionRatio / radius;
  #ifdef PICKING_MODE
  v_color = a_id;
  #else
  v_color = a_color;
  #endif
  v_color.a *= bias;
}`;

const FRAGMENT = `
precision highp float;
varying vec4 v_color;
varying vec2 v_place;
varying float v_shape;
varying float v_glow;
varying float v_ring;
varying float v_feather;
uniform vec3 u_halo;
uniform float u_strength;
uniform vec3 u_ink;
uniform vec3 u_ground;

// Distance to the outline, negative inside; the shapes cover about the same area.
float outline(vec2 p) {
  if (v_shape < 0.5) return length(p) - 0.92;
  if (v_shape < 1.5) return (abs(p.x) + abs(p.y) - 1.16) * 0.7071;
  if (v_shape < 2.5) return max(-p.y - 0.66, abs(p.x) * 0.866 + p.y * 0.5 - 0.62);
  if (v_shape < 3.5) return max(abs(p.y) - 0.84, abs(p.x) * 0.866 + abs(p.y) * 0.5 - 0.84);
  return max(abs(p.x), abs(p.y)) - 0.8;
}

void main() {
  float d = outline(v_place);
  #ifdef PICKING_MODE
  gl_FragColor = d > 0.25 ? vec4(0.0) : v_color;
  #else
  if (d < -v_feather && v_ring == 0.0) { // most of what is drawn, and quickly told
    gl_FragColor = vec4(v_color.rgb, 1.0);
    return;
  }
  float inside = 1.0 - smoothstep(-v_feather, v_feather, d);
  float rim = (1.0 - smoothstep(-v_feather, v_feather, d - 0.14)) - inside; // keeps neighbours apart
  float ring = v_ring * (smoothstep(-v_feather, v_feather, d - 0.16) - smoothstep(-v_feather, v_feather, d - 0.32));
  float far = clamp(d / ${HALO.toFixed(1)} / max(v_glow, 0.01), 0.0, 1.0);
  float halo = v_glow > 0.01 && d > 0.0 ? v_glow * u_strength * (1.0 - far) * (1.0 - far) : 0.0;
  vec4 under = vec4(u_halo * halo, halo);
  vec4 shape = vec4(v_color.rgb * inside, inside) + vec4(u_ground, 1.0) * max(rim, 0.0) * (1.0 - v_glow);
  vec4 drawn = shape + under * (1.0 - shape.a);
  gl_FragColor = vec4(u_ink * ring, ring) + drawn * (1.0 - ring);
  #endif
}`;

const { FLOAT, UNSIGNED_BYTE } = WebGLRenderingContext;
const CORNERS = [[-1, -1], [1, -1], [-1, 1], [-1, 1], [1, -1], [1, 1]]; // of two triangles

/** Colours that all nodes share, as [r, g, b] in [0, 1], and how strong the halo is; set before drawing anew. */
export const shared = { halo: [0.4, 0.3, 0.9], strength: 0.5, ink: [0, 0, 0], ground: [1, 1, 1] };

export class MemoryProgram extends NodeProgram {
  getDefinition() {
    return {
      VERTICES: CORNERS.length,
      VERTEX_SHADER_SOURCE: VERTEX,
      FRAGMENT_SHADER_SOURCE: FRAGMENT,
      METHOD: WebGLRenderingContext.TRIANGLES,
      UNIFORMS: ["u_sizeRatio", "u_correctionRatio", "u_matrix", "u_halo", "u_strength", "u_ink", "u_ground"],
      ATTRIBUTES: [
        { name: "a_position", size: 2, type: FLOAT },
        { name: "a_size", size: 1, type: FLOAT },
        { name: "a_color", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_id", size: 4, type: UNSIGNED_BYTE, normalized: true },
        { name: "a_shape", size: 1, type: FLOAT },
        { name: "a_glow", size: 1, type: FLOAT },
        { name: "a_ring", size: 1, type: FLOAT },
      ],
      CONSTANT_ATTRIBUTES: [{ name: "a_corner", size: 2, type: FLOAT }],
      CONSTANT_DATA: CORNERS,
    };
  }

  /** Draw what is seen. Which memory lies where is drawn apart from it, by `pick`, and only once somebody asks. */
  render(params) {
    this.asked = params;
    this.pass(this.normalProgram, params);
  }

  /** Draw which memory lies where, unless that was done since what is seen was drawn. */
  pick() {
    if (!this.asked) return;
    const { pixelRatio, downSizingRatio } = this.asked;
    this.pass(this.pickProgram, { ...this.asked, pixelRatio: pixelRatio / downSizingRatio });
    this.asked = null;
  }

  pass(program, params) {
    if (this.hasNothingToRender()) return;
    program.gl.viewport(0, 0, params.width * params.pixelRatio, params.height * params.pixelRatio);
    this.bindProgram(program);
    this.renderProgram(params, program);
    this.unbindProgram(program);
  }

  processVisibleItem(nodeIndex, startIndex, data) {
    const { x, y, size, glow = 0, ring = 0 } = data;
    const values = [x, y, size, floatColor(data.color), nodeIndex, SHAPES[data.memoryType] ?? 0, glow, ring];
    this.array.set(values, startIndex);
  }

  setUniforms(params, { gl, uniformLocations }) {
    gl.uniform1f(uniformLocations.u_correctionRatio, params.correctionRatio);
    gl.uniform1f(uniformLocations.u_sizeRatio, params.sizeRatio);
    gl.uniformMatrix3fv(uniformLocations.u_matrix, false, params.matrix);
    gl.uniform3fv(uniformLocations.u_halo, shared.halo);
    gl.uniform1f(uniformLocations.u_strength, shared.strength);
    gl.uniform3fv(uniformLocations.u_ink, shared.ink);
    gl.uniform3fv(uniformLocations.u_ground, shared.ground);
  }
}
