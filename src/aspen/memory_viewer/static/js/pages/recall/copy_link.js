// The address of a view, to be sent to somebody.

import { html, useEffect, useRef, useState } from "../../../vendor/view.js";
import { tell } from "../../parts/feedback.js";

export function CopyLink() {
  const [shown, setShown] = useState(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      tell("The link is copied.");
    } catch {
      // Browsers give the clipboard to pages of this machine and of https alone; the person copies it then.
      setShown(location.href);
    }
  };
  return html`<button class="quiet" onClick=${copy}>Copy link</button>
    ${shown ? html`<${Address} link=${shown} />` : null}`;
}

/** A field with an address, selected, so that it only has to be copied. */
function Address({ link }) {
  const field = useRef(null);
  useEffect(() => {
    field.current.focus();
    field.current.select();
  }, [link]);
  return html`<label class="field address"><span>The link, to be copied from here</span>
    <input ref=${field} type="text" readonly value=${link}
      onFocus=${(event) => event.currentTarget.select()} /></label>`;
}
