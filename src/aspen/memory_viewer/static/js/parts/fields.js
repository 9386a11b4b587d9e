// What is filled in, chosen and slid. Every field has a label that says what it is, and its unit.

import { html, useEffect, useRef } from "../../vendor/view.js";

let last = 0;

/** An id of its own for a field, the same on each drawing. */
function useId() {
  const id = useRef(null);
  id.current ??= `f${(last += 1)}`;
  return id.current;
}

export function Field({ label, hint, hidden = false, children }) {
  return html`<label class="field">
    <span class=${hidden ? "unseen" : ""}>${label}${hint ? html` <span class="soft">${hint}</span>` : null}</span>
    ${children}
  </label>`;
}

/** A line of text; `suggestions` are values that may be chosen, and need not be. */
export function Text({ label, hint, value, onInput, hidden, suggestions = [], ...rest }) {
  const id = useId();
  const list = suggestions.length ? id : undefined;
  return html`<${Field} label=${label} hint=${hint} hidden=${hidden}>
      <input type="text" value=${value} list=${list} ...${rest}
        onInput=${(event) => onInput(event.currentTarget.value)} />
    <//>
    ${list
      ? html`<datalist id=${id}>${suggestions.map((one) => html`<option key=${one} value=${one} />`)}</datalist>`
      : null}`;
}

/** One of some values; options are values, or pairs of value and word. */
export function Choice({ label, hint, value, options, onChange, hidden, ...rest }) {
  return html`<${Field} label=${label} hint=${hint} hidden=${hidden}>
    <select value=${value} onChange=${(event) => onChange(event.currentTarget.value)} ...${rest}>
      ${options.map((option) => {
        const [key, word] = Array.isArray(option) ? option : [option, option];
        return html`<option key=${key} value=${key} selected=${key === value}>${word}</option>`;
      })}
    </select>
  <//>`;
}

export function Tick({ label, hint, checked, onChange, ...rest }) {
  return html`<label class="tick">
    <input type="checkbox" checked=${checked} onChange=${(event) => onChange(event.currentTarget.checked)} ...${rest} />
    <span>${label}${hint ? html` <span class="soft">${hint}</span>` : null}</span>
  </label>`;
}

/** A number on a line, with what it says in words. */
export function Slider({ label, value, min, max, step, shown, onInput }) {
  const id = useId();
  return html`<div class="slider">
    <label for=${id}>${label}</label>
    <output for=${id}>${shown ?? value}</output>
    <input id=${id} type="range" min=${min} max=${max} step=${step} value=${value}
      aria-valuetext=${String(shown ?? value)}
      onInput=${(event) => onInput(Number(event.currentTarget.value))} />
  </div>`;
}

/** A few ways to look at the same, one of which is chosen. */
export function Switch({ label, value, options, onChange }) {
  const name = useId();
  return html`<fieldset class="switch">
    <legend class="unseen">${label}</legend>
    ${options.map(
      ([key, word]) => html`<label key=${key}>
        <input type="radio" name=${name} value=${key} checked=${key === value} onChange=${() => onChange(key)} />
        <span>${word}</span>
      </label>`,
    )}
  </fieldset>`;
}

/** A field of several lines that grows with its text. Enter sends, Shift and Enter makes a new line. */
export function Lines({ label, value, onInput, onEnter, rows = 1, ...rest }) {
  const id = useId();
  const box = useRef(null);
  useEffect(() => {
    box.current.style.height = "auto";
    box.current.style.height = `${Math.min(box.current.scrollHeight + 2, 240)}px`;
  }, [value]);
  const press = (event) => {
    if (onEnter && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      onEnter();
    }
  };
  return html`<div class="field lines">
    <label class="unseen" for=${id}>${label}</label>
    <textarea id=${id} ref=${box} rows=${rows} value=${value} onKeyDown=${press}
      onInput=${(event) => onInput(event.currentTarget.value)} ...${rest}></textarea>
  </div>`;
}

/** A window over the page for a decision; Escape closes it and the focus goes back to where it was. */
export function Window({ title, onClose, children }) {
  const id = useId();
  const box = useRef(null);
  const pressed = useRef(null); // where a click began: a text that is marked may end outside
  useEffect(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return html`<dialog ref=${box} aria-labelledby=${id} onCancel=${(event) => { event.preventDefault(); onClose(); }}
    onPointerDown=${(event) => { pressed.current = event.target; }}
    onClick=${(event) => event.target === box.current && pressed.current === box.current && onClose()}>
    <div class="window">
      <header><h2 id=${id}>${title}</h2><button class="icon" aria-label="Close" onClick=${onClose}>×</button></header>
      ${children}
    </div>
  </dialog>`;
}
