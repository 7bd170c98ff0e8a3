/** Notices: short messages about what was done or went wrong, also for screen readers. */

import { Problem } from "./api.js";
import { byId, element, icon } from "./element.js";

const NOTICE_MS = 6000; // ms that a notice is shown
const ERROR_MS = 12000; // … an error
const MAX_NOTICES = 3; // at once

/** For screen readers only. @param {string} text */
export function announce(text) {
  byId("announcements").textContent = text;
}

/**
 * @param {string} text
 * @param {{isError?: boolean, action?: string, onAction?: () => void}} [options] action: label of a
 *     button
 * @returns {() => void} removes the notice
 */
export function notice(text, { isError = false, action, onAction } = {}) {
  const list = byId("notices");
  for (const old of [...list.children])
    if (old.querySelector("p")?.textContent === text) old.remove();
  while (list.children.length >= MAX_NOTICES) list.firstElementChild?.remove();
  const box = element(
    "div",
    { class: isError ? "notice error" : "notice", role: isError ? "alert" : "status" },
    element("p", {}, text),
  );
  const remove = () => box.remove();
  if (action) {
    const button = element("button", { class: "button" }, action);
    button.addEventListener("click", () => {
      remove();
      onAction?.();
    });
    box.append(button);
  }
  const close = element("button", { class: "button square plain", "aria-label": "Close" }, icon("close"));
  close.addEventListener("click", remove);
  box.append(close);
  list.append(box);
  let timer = setTimeout(remove, isError ? ERROR_MS : NOTICE_MS);
  const keep = () => clearTimeout(timer);
  const expire = () => (timer = setTimeout(remove, NOTICE_MS));
  box.addEventListener("pointerenter", keep);
  box.addEventListener("pointerleave", expire);
  box.addEventListener("focusin", keep);
  box.addEventListener("focusout", expire);
  return remove;
}

/** @param {unknown} error @param {string} [action] that failed, as a sentence */
export function showError(error, action = "") {
  if (error instanceof Problem && error.status === 0) return; // the banner shows it
  if (!(error instanceof Problem)) console.error(error);
  const text = error instanceof Problem ? error.text : "Something went wrong in this page.";
  notice(action ? `${action}: ${text}` : text, { isError: true });
}

/**
 * Show a banner while the server does not answer, and check whether it is back.
 *
 * @param {import("./api.js").Api} api
 */
export function watchConnection(api) {
  const FIRST_WAIT = 1; // s
  const MAX_WAIT = 15; // s
  const banner = byId("offline");
  api.addEventListener("offline", () => {
    banner.hidden = false;
    let wait = FIRST_WAIT;
    const retry = async () => {
      try {
        await api.about();
      } catch {
        wait = Math.min(wait * 1.6, MAX_WAIT);
        showBanner();
      }
    };
    const showBanner = () => {
      const seconds = Math.round(wait);
      banner.textContent =
        "The server has stopped. Loaded sounds still play. " +
        `Start it again with “ears explore”; trying again in ${seconds} s.`;
      setTimeout(retry, wait * 1000);
    };
    showBanner();
  });
  api.addEventListener("online", () => {
    banner.hidden = true;
    banner.textContent = "";
    notice("The server is back.");
  });
}
