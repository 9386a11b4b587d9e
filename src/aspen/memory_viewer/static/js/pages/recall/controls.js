// How a recall is made: the preset, how activation spreads, and what may come back.

import { html } from "../../../vendor/view.js";
import { Choice, Slider, Tick } from "../../parts/fields.js";
import { TYPES, TypeMark } from "../../parts/marks.js";
import { fixed } from "../../format.js";
import { BOOSTED } from "./asking.js";

const ARMS = [["activation", "Activation"], ["keyword", "Keyword"], ["heads", "Heads (attention)"]];
const WIDE = matchMedia("(min-width: 58rem)").matches; // on a phone the hits come first
const LIMITS = ["5", "10", "25", "50"];

export function Controls({ recall, presets, onChange }) {
  const preset = presets[recall.preset] ?? presets.balanced;
  const boosts = { ...preset.settings.type_boost, ...recall.spreading.type_boost };
  const now = { ...preset.settings, ...recall.spreading, type_boost: boosts };
  const set = (changed) => onChange({ ...recall, ...changed });
  const spread = (changed) => set({ spreading: { ...recall.spreading, ...changed } });
  const touched = Object.keys(recall.spreading).length > 0;
  const toggle = (name, value, all) => {
    const before = recall[name].length ? recall[name] : all;
    const after = all.filter((one) => (one === value ? !before.includes(one) : before.includes(one)));
    set({ [name]: after.length === all.length || !after.length ? [] : after });
  };
  const types = Object.keys(TYPES);
  const arms = ARMS.map(([name]) => name);
  return html`<form class="controls stack" onSubmit=${(event) => event.preventDefault()} aria-label="How it recalls">
    <div>
      <${Choice} label="Preset" value=${recall.preset} options=${Object.keys(presets)}
        onChange=${(value) => set({ preset: value, spreading: {} })} />
      <p class="small soft below-field">${preset.when}</p>
    </div>
    <details open=${WIDE}><summary class="small">How activation spreads</summary><div class="sliders">
      <${Slider} label="Hops over relations" value=${now.max_hops} min="0" max="3" step="1"
        onInput=${(value) => spread({ max_hops: value })} />
      <${Slider} label="Left after each hop" value=${now.decay} min="0.05" max="1" step="0.05"
        shown=${fixed(now.decay)} onInput=${(value) => spread({ decay: value })} />
      <${Slider} label="Least weight of a relation" value=${now.min_weight} min="0" max="1" step="0.05"
        shown=${fixed(now.min_weight)} onInput=${(value) => spread({ min_weight: value })} />
      <h3 class="small">Boost by type</h3>
      ${BOOSTED.map(
        (type) => html`<${Slider} key=${type} label=${html`<${TypeMark} type=${type} />`} min="1" max="4" step="0.05"
          value=${now.type_boost[type] ?? 1} shown=${`× ${fixed(now.type_boost[type] ?? 1)}`}
          onInput=${(value) => spread({ type_boost: { ...recall.spreading.type_boost, [type]: value } })} />`,
      )}
      ${touched
        ? html`<button class="quiet" onClick=${() => set({ spreading: {} })}>As the preset has it</button>` : null}
    </div></details>
    <details open=${recall.types.length > 0 || recall.arms.length > 0 || recall.rerank}>
      <summary class="small">What may come back, and how it is found</summary>
      <div class="stack">
        <fieldset><legend class="small">Types</legend>
          ${types.map((type) => html`<div key=${type}><${Tick} label=${html`<${TypeMark} type=${type} />`}
            checked=${!recall.types.length || recall.types.includes(type)}
            onChange=${() => toggle("types", type, types)} /></div>`)}
        </fieldset>
        <fieldset><legend class="small">Arms</legend>
          ${ARMS.map(([name, word]) => html`<div key=${name}><${Tick} label=${word}
            checked=${!recall.arms.length || recall.arms.includes(name)}
            onChange=${() => toggle("arms", name, arms)} /></div>`)}
        </fieldset>
        <${Choice} label="Most hits" value=${String(recall.limit)} options=${LIMITS}
          onChange=${(value) => set({ limit: Number(value) })} />
        <${Tick} label="Read the first hits again" hint="(slower)" checked=${recall.rerank}
          onChange=${(value) => set({ rerank: value })} />
      </div>
    </details>
  </form>`;
}
