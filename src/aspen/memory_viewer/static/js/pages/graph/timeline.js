// A recall's spreading as a film: at any moment between two hops, how active each memory is and which edges carry.

import { relationKey } from "../../parts/relations.js";

const PAST = 0.35; // how bright an edge stays once its hop is over

/** The film of some frames; `at(moment)` for a moment in [0, last]. */
export function timeline(frames) {
  const total = new Map();
  for (const { activation } of frames) {
    for (const [id, value] of Object.entries(activation)) total.set(id, (total.get(id) ?? 0) + Math.max(0, value));
  }
  const most = Math.max(1e-9, ...total.values());
  const carried = Math.max(1e-9, ...frames.flatMap(({ edges }) => edges.map((edge) => edge.carried)));

  const at = (moment) => {
    const glow = new Map();
    const lit = new Map();
    const pulses = [];
    frames.forEach(({ activation, edges }, hop) => {
      const share = Math.min(1, Math.max(0, moment - hop + 1));
      if (share === 0) return;
      for (const [id, value] of Object.entries(activation)) {
        glow.set(id, (glow.get(id) ?? 0) + share * Math.max(0, value));
      }
      const over = moment >= hop + 1;
      for (const edge of edges) {
        const strength = Math.sqrt(Math.max(0, edge.carried) / carried);
        const key = relationKey(edge);
        lit.set(key, Math.max(lit.get(key) ?? 0, strength * (over ? PAST : share)));
        if (share < 1) pulses.push({ source: edge.source, target: edge.target, share, strength });
      }
    });
    for (const [id, value] of glow) glow.set(id, Math.sqrt(value / most));
    return { glow, lit, pulses };
  };
  return { last: frames.length - 1, at };
}
