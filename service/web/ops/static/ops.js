// Polls the changing part of a page and replaces the sections that changed.
// Without this file the page reloads.
"use strict";

const MAX_INTERVAL = 30000; // ms
const REQUEST_TIMEOUT = 10000;
const received = new Map(); // section id -> HTML last received

function follow(region) {
  const state = document.querySelector("[data-state]");
  const interval = Number(region.dataset.interval);
  let pause = interval, etag = null, timer = null, isPolling = false, updatedAt = Date.now();

  function show(text, stale) {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("stale", stale);
    region.classList.toggle("stale-page", stale);
  }

  async function poll() {
    clearTimeout(timer);
    if (document.hidden || isPolling) return;
    isPolling = true;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const signal = AbortSignal.timeout(REQUEST_TIMEOUT);
      const response = await fetch(region.dataset.live, { headers, cache: "no-store", redirect: "manual", signal });
      if (response.type === "opaqueredirect") return location.reload(); // logged out
      if (response.status === 200) {
        if (merge(region, await response.text())) etag = response.headers.get("ETag");
      } else if (response.status !== 304) throw new Error(String(response.status));
      updatedAt = Date.now();
      pause = interval;
      show(`Live: updated ${clock(updatedAt)}.`, false);
    } catch {
      pause = Math.min(pause * 2, MAX_INTERVAL);
      show(`No answer since ${clock(updatedAt)}; figures may be out of date. Retrying.`, true);
    } finally {
      isPolling = false;
    }
    timer = setTimeout(poll, pause);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });
  for (const section of region.querySelectorAll("section[id]")) received.set(section.id, section.innerHTML);
  show("Live.", false);
  timer = setTimeout(poll, pause);
}

function clock(time) {
  return new Date(time).toISOString().slice(11, 19);
}

// Replaces every section that changed; keeps open details open, and the focus.
// A section in which somebody types is skipped: then returns false, so that the same response is
// fetched again.
function merge(region, html) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  const sections = [...body.querySelectorAll("section[id]")];
  let complete = true, previous = null;
  for (const section of sections) {
    let shown = document.getElementById(section.id);
    if (!shown) {
      shown = document.importNode(section, false);
      previous.after(shown);
    }
    previous = shown;
    if (received.get(section.id) === section.innerHTML) continue;
    if (isTyping(shown)) complete = false;
    else replace(section, shown);
  }
  const ids = new Set(sections.map((section) => section.id));
  for (const shown of region.querySelectorAll("section[id]")) {
    if (!ids.has(shown.id) && !isTyping(shown)) {
      received.delete(shown.id);
      shown.remove();
    }
  }
  return complete;
}

function replace(section, shown) {
  received.set(section.id, section.innerHTML);
  const focused = shown.contains(document.activeElement) ? identify(document.activeElement) : null;
  for (const open of shown.querySelectorAll("details[open][data-keep]")) {
    const same = section.querySelector(`details[data-keep="${open.dataset.keep}"]`);
    if (same) same.open = true;
  }
  shown.className = section.className;
  shown.replaceChildren(...document.importNode(section, true).childNodes);
  if (!focused) return;
  const focusable = [...shown.querySelectorAll("a, button, summary, [tabindex]")];
  focusable.find((element) => identify(element) === focused)?.focus({ preventScroll: true });
}

function identify(element) {
  const target = element.getAttribute("href") ?? element.getAttribute("formaction");
  const keep = element.parentElement?.dataset.keep;
  return [element.tagName, target, keep, element.value, element.textContent.trim()].join("|");
}

function isTyping(section) {
  const inputs = [...section.querySelectorAll("input")];
  return inputs.some((input) => input.value || input === document.activeElement);
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, textarea, select")) return;
  const search = document.getElementById("q");
  if (search) { event.preventDefault(); search.focus(); search.select(); }
});

// A second click on a button must not send the form twice.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
});

document.querySelectorAll("[data-live]").forEach(follow);
