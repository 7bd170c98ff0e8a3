/** Messages: what went wrong or was done, in words, for eyes and for screen readers. */

import { Problem } from "./api.js";
import { byId, element, icon } from "./element.js";

const SHOWN = 6000; // ms
const LONGER = 12000; // … of what went wrong
const MOST = 3; // at once

/** For screen readers only. @param {string} words */
export function speak(words) {
  byId("spoken").textContent = words;
}

/**
 * @param {string} words
 * @param {{wrong?: boolean, action?: string, onAction?: () => void}} [options] action: a button's words
 * @returns {() => void} takes it away
 */
export function notice(words, { wrong = false, action, onAction } = {}) {
  const place = byId("notices");
  for (const old of [...place.children])
    if (old.querySelector("p")?.textContent === words) old.remove();
  while (place.children.length >= MOST) place.firstElementChild?.remove();
  const box = element(
    "div",
    { class: wrong ? "notice wrong" : "notice", role: wrong ? "alert" : "status" },
    element("p", {}, words),
  );
  const away = () => box.remove();
  if (action) {
    const button = element("button", { class: "button" }, action);
    button.addEventListener("click", () => {
      away();
      onAction?.();
    });
    box.append(button);
  }
  const close = element("button", { class: "button square plain", "aria-label": "Close" }, icon("close"));
  close.addEventListener("click", away);
  box.append(close);
  place.append(box);
  let timer = setTimeout(away, wrong ? LONGER : SHOWN);
  const stay = () => clearTimeout(timer);
  const go = () => (timer = setTimeout(away, SHOWN));
  box.addEventListener("pointerenter", stay);
  box.addEventListener("pointerleave", go);
  box.addEventListener("focusin", stay);
  box.addEventListener("focusout", go);
  return away;
}

/** @param {unknown} error @param {string} [what] what was tried */
export function wrong(error, what = "") {
  if (error instanceof Problem && error.status === 0) return; // the banner tells it
  if (!(error instanceof Problem)) console.error(error);
  const words = error instanceof Problem ? error.words : "Something went wrong in this page.";
  notice(what ? `${what}: ${words}` : words, { wrong: true });
}

/**
 * The banner that says that the server is gone, and the asking whether it is back.
 *
 * @param {import("./api.js").Api} api
 */
export function watch(api) {
  const FIRST = 1; // s
  const LAST = 15; // s
  const banner = byId("lost");
  api.addEventListener("gone", () => {
    banner.hidden = false;
    let wait = FIRST;
    const again = async () => {
      try {
        await api.about();
      } catch {
        wait = Math.min(wait * 1.6, LAST);
        tell();
      }
    };
    const tell = () => {
      const seconds = Math.round(wait);
      banner.textContent =
        "The server has stopped. What is loaded still plays. " +
        `Start it again with “ears explore”; trying again in ${seconds} s.`;
      setTimeout(again, wait * 1000);
    };
    tell();
  });
  api.addEventListener("back", () => {
    banner.hidden = true;
    banner.textContent = "";
    notice("The server is back.");
  });
}
