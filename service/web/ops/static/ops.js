// Keeps a page live: asks for its moving part every few seconds and puts in what changed.
// Without this file the page loads itself anew instead.
"use strict";

const SLOWEST = 30000;

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
      const headers = { "X-Fragment": "1", ...(etag && { "If-None-Match": etag }) };
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
  say("Live.", false);
  timer = setTimeout(ask, pause);
}

function clock(moment) {
  return new Date(moment).toISOString().slice(11, 19);
}

// Puts in every section that changed. One in which somebody is at work is left for later, and then
// false is returned: the same answer must come again.
function merge(region, html) {
  const told = new DOMParser().parseFromString(html, "text/html").body;
  let whole = true;
  for (const section of told.querySelectorAll("section[id]")) {
    const shown = document.getElementById(section.id);
    if (!shown || shown.dataset.said === section.innerHTML) continue;
    if (isBusy(shown)) { whole = false; continue; }
    keepOpen(shown, section);
    const said = section.innerHTML;
    const fresh = shown.dataset.said !== undefined;
    shown.className = section.className;
    shown.replaceChildren(...document.importNode(section, true).childNodes);
    shown.dataset.said = said;
    if (fresh && section.id === "timeline") shown.classList.add("fresh");
  }
  for (const shown of region.querySelectorAll("section[id]")) {
    if (!told.querySelector(`#${shown.id}`) && !isBusy(shown)) shown.remove();
  }
  if ([...told.querySelectorAll("section[id]")].some((one) => !document.getElementById(one.id))) {
    region.replaceChildren(...told.childNodes); // a section is new: take everything
  }
  return whole;
}

function isBusy(section) {
  const active = document.activeElement;
  const typing = [...section.querySelectorAll("input")].some((one) => one.value);
  return typing || (section.contains(active) && active !== section);
}

function keepOpen(shown, section) {
  for (const open of shown.querySelectorAll("details[open][data-keep]")) {
    const same = section.querySelector(`details[data-keep="${open.dataset.keep}"]`);
    if (same) same.open = true;
  }
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
