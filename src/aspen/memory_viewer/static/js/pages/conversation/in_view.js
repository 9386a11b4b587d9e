// Where a conversation is scrolled to while it goes on.

import { useLayoutEffect, useRef } from "../../../vendor/view.js";

const NEAR = 200; // pixels: whoever is so close to the end goes along with what is written

/**
 * Keep the last turn of a list in view. When `talk` begins, or the turns are `loaded`, its beginning is brought below
 * the head of the page, or as far up as there is page below it. While a reply is written the page follows its end until
 * the beginning is up there, and then rests: what comes is read downwards. Whoever went on to the end goes along.
 *
 * Not by scrollIntoView, from which on Tab would go, past the links at the top.
 */
export function useLastInView(list, { talk, loaded }) {
  const before = useRef({ talk: null, loaded: false, height: 0 });
  useLayoutEffect(() => {
    const page = document.documentElement;
    const was = before.current;
    before.current = { talk, loaded, height: page.scrollHeight };
    const beginning = list.current.querySelector(".turn:last-child > :first-child");
    if (!beginning) return;
    const anew = (talk && talk !== was.talk) || loaded !== was.loaded;
    const along = page.scrollHeight > was.height && was.height - innerHeight - scrollY < NEAR;
    const among = list.current.contains(document.activeElement); // somebody goes through the turns
    if (!anew && (!along || among)) return;
    const head = parseFloat(getComputedStyle(page).scrollPaddingTop);
    const way = Math.round(beginning.getBoundingClientRect().top - head);
    if (anew || way > 0) scrollTo(0, scrollY + way);
    else if (way < 0) scrollTo(0, page.scrollHeight);
  });
}
