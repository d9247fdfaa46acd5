// Keeps a page live: asks for its moving part every few seconds and puts in what changed.
// Without this file the page loads itself anew instead.
"use strict";

const SLOWEST = 30000;
const said = new Map(); // what the server last said of each section

function follow(region) {
  const state = document.querySelector("[data-state]");
  const every = Number(region.dataset.every);
  let pause = every, etag = null, timer = null, asking = false, last = Date.now();

  function say(text, stale) {
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("stale", stale);
    region.classList.toggle("stale-page", stale);
  }

  async function ask() {
    clearTimeout(timer);
    if (document.hidden || asking) return;
    asking = true;
    try {
      const headers = etag ? { "If-None-Match": etag } : {};
      const limit = AbortSignal.timeout(10000);
      const answer = await fetch(region.dataset.live, { headers, cache: "no-store", redirect: "manual", signal: limit });
      if (answer.type === "opaqueredirect") return location.reload(); // logged out
      if (answer.status === 200) {
        if (merge(region, await answer.text())) etag = answer.headers.get("ETag");
      } else if (answer.status !== 304) throw new Error(String(answer.status));
      last = Date.now();
      pause = every;
      say(`Live; looked at ${clock(last)}.`, false);
    } catch {
      pause = Math.min(pause * 2, SLOWEST);
      say(`No answer since ${clock(last)}. What is shown may be out of date.`, true);
    } finally {
      asking = false;
    }
    timer = setTimeout(ask, pause);
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  for (const one of region.querySelectorAll("section[id]")) said.set(one.id, one.innerHTML);
  say("Live.", false);
  timer = setTimeout(ask, pause);
}

function clock(moment) {
  return new Date(moment).toISOString().slice(11, 19);
}

// Puts in every section that changed, opened where it was open and focused where it was focused.
// One in which somebody is typing is left for later, and then false is returned: the same answer
// must come again.
function merge(region, html) {
  const told = new DOMParser().parseFromString(html, "text/html").body;
  const sections = [...told.querySelectorAll("section[id]")];
  let whole = true, before = null;
  for (const section of sections) {
    let shown = document.getElementById(section.id);
    if (!shown) {
      shown = document.importNode(section, false);
      before.after(shown);
    }
    before = shown;
    if (said.get(section.id) === section.innerHTML) continue;
    if (isTyping(shown)) whole = false;
    else put(section, shown);
  }
  const ids = new Set(sections.map((one) => one.id));
  for (const shown of region.querySelectorAll("section[id]")) {
    if (!ids.has(shown.id) && !isTyping(shown)) shown.remove();
  }
  return whole;
}

function put(section, shown) {
  said.set(section.id, section.innerHTML);
  const focused = shown.contains(document.activeElement) ? mark(document.activeElement) : null;
  for (const open of shown.querySelectorAll("details[open][data-keep]")) {
    const same = section.querySelector(`details[data-keep="${open.dataset.keep}"]`);
    if (same) same.open = true;
  }
  shown.className = section.className;
  shown.replaceChildren(...document.importNode(section, true).childNodes);
  if (!focused) return;
  const again = [...shown.querySelectorAll("a, button, summary, [tabindex]")];
  again.find((one) => mark(one) === focused)?.focus({ preventScroll: true });
}

function mark(element) {
  const where = element.getAttribute("href") ?? element.getAttribute("formaction");
  const keep = element.parentElement?.dataset.keep;
  return [element.tagName, where, keep, element.value, element.textContent.trim()].join("|");
}

function isTyping(section) {
  const inputs = [...section.querySelectorAll("input")];
  return inputs.some((one) => one.value || one === document.activeElement);
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
