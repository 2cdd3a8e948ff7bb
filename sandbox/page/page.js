// The page's only script: sends what a person does to the control API and shows what the server renders.
// It never builds HTML from data; texts that it shows itself go through textContent. Block Kit is in kit.js.
"use strict";

const body = document.body;
const scene = { user: body.dataset.user, channel: body.dataset.channel, thread: body.dataset.thread };
const $ = (id) => document.getElementById(id);
const served = new WeakMap(); // node -> the HTML it was served as

// --- talking to the sandbox ------------------------------------------------------------------------

async function call(path, payload, method = "POST") {
  const answer = await fetch("/sandbox/" + path, {
    method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(payload),
  });
  const result = await answer.json();
  if (!answer.ok) throw new Error(result.error || answer.statusText);
  return result;
}

function toast(sentence) {
  const note = document.createElement("div");
  note.className = "toast";
  note.textContent = sentence;
  $("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}

async function attempt(work, element) {
  element?.setAttribute("aria-busy", "true");
  try {
    const result = await work();
    if (result?.error) toast(result.error);
    return result;
  } catch (trouble) {
    toast(trouble.message);
    return null;
  } finally {
    element?.removeAttribute("aria-busy");
  }
}

// --- keeping parts current --------------------------------------------------------------------------

const PARTS = {
  slack: ["messages", "thread", "home", "modal"],
  mail: ["inbox", "mail"],
  phone: ["numbers", "phone", "bubbles"],
  wire: ["badge", "wire"],
  clock: ["clock"],
};
let due = new Set();
let running = false;

function remember(container) {
  for (const child of container.children) served.set(child, child.outerHTML);
}

function patch(container, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const old = new Map();
  for (const child of container.children) if (child.dataset.key) old.set(child.dataset.key, child);
  const fresh = [...template.content.children].map((child) => {
    const source = child.outerHTML;
    const before = old.get(child.dataset.key);
    if (before && served.get(before) === source) return before;
    served.set(child, source);
    return child;
  });
  // Nodes that stay are not moved, so that focus, selection and open menus survive.
  let cursor = container.firstElementChild;
  for (const node of fresh) {
    if (node === cursor) cursor = cursor.nextElementSibling;
    else container.insertBefore(node, cursor);
  }
  const kept = new Set(fresh);
  for (const child of [...container.children]) if (!kept.has(child)) child.remove();
  if (!container.children.length) container.textContent = "";
}

function address(names) {
  const { to, mail, number, find } = body.dataset;
  return "/page/parts?" + new URLSearchParams({ ...scene, to, mail, number, find, names: names.join(",") });
}

async function refresh(names) {
  for (const name of names) due.add(name);
  if (running) return;
  running = true;
  try {
    while (due.size) {
      const wanted = [...due].filter((name) => $("part-" + name) && !(name === "wire" && $("drawer").hidden));
      due = new Set();
      if (!wanted.length) break;
      const answer = await fetch(address(wanted));
      if (!answer.ok) break;
      apply(await answer.json());
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  } finally {
    running = false;
  }
}

function apply(parts) {
  const values = parts.modal !== undefined ? typedValues() : null;
  for (const [name, html] of Object.entries(parts)) {
    const container = $("part-" + name);
    if (!container) continue;
    if (name === "dns" && container.contains(document.activeElement)) continue;
    const scroll = $({ messages: "messages-scroll", thread: "thread-scroll", bubbles: "bubbles-scroll" }[name]);
    const atEnd = scroll && (scroll.dataset.toEnd || scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80);
    patch(container, html);
    if (scroll) delete scroll.dataset.toEnd;
    if (atEnd) scroll.scrollTop = scroll.scrollHeight;
  }
  if (values) settleModal(values);
  if (parts.clock !== undefined) showClock();
}

// --- the clock in the top bar --------------------------------------------------------------------------

let ahead = 0;
function showClock() {
  const face = document.querySelector("[data-testid=clock]");
  if (face) ahead = new Date(face.dataset.now) - Date.now();
  tick();
}
function tick() {
  const now = new Date(Date.now() + ahead);
  $("part-clock-face").textContent = now.toISOString().slice(0, 16).replace("T", " ") + " UTC";
}

// --- composer -------------------------------------------------------------------------------------------

const composer = $("composer");
const completion = $("completion");

function offers() {
  if (!composer || scene.thread) return [];
  const typed = composer.value;
  if (!typed.startsWith("/") || /\s/.test(typed)) return [];
  return [...$("commands").content.querySelectorAll("li")].filter((one) => one.dataset.command.startsWith(typed));
}

function complete() {
  const found = offers();
  completion.replaceChildren(...found.map((one) => one.cloneNode(true)));
  completion.firstElementChild?.setAttribute("aria-selected", "true");
  completion.hidden = !found.length;
  composer.setAttribute("aria-expanded", String(!!found.length));
}

function take(choice) {
  composer.value = choice.dataset.command;
  complete();
  composer.focus();
}

function grow() {
  composer.style.height = "auto";
  composer.style.height = composer.scrollHeight + "px";
}

async function send() {
  const text = composer.value.trim();
  if (!text) return;
  if (text.startsWith("/") && scene.thread) {
    toast("Commands do not work in threads.");
    return;
  }
  composer.value = "";
  complete();
  grow();
  const where = { user: scene.user, channel: scene.channel, text };
  const path = text.startsWith("/") ? "slack/command" : "slack/message";
  if (scene.thread) where.thread_ts = scene.thread;
  const sent = await attempt(() => call(path, where), $("composer-form"));
  if (!sent && !composer.value) composer.value = text;
}

function bindComposer() {
  if (!composer) return;
  composer.addEventListener("input", () => { complete(); grow(); });
  composer.addEventListener("keydown", (event) => {
    const choice = completion.querySelector("[aria-selected=true]");
    if (!completion.hidden && choice && (event.key === "Tab" || (event.key === "Enter" && composer.value !== choice.dataset.command.trim()))) {
      event.preventDefault();
      take(choice);
    } else if (!completion.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const next = event.key === "ArrowDown" ? choice.nextElementSibling : choice.previousElementSibling;
      if (next) { choice.removeAttribute("aria-selected"); next.setAttribute("aria-selected", "true"); }
    } else if (event.key === "Escape") {
      completion.hidden = true;
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  completion.addEventListener("mousedown", (event) => {
    const choice = event.target.closest("li");
    if (choice) { event.preventDefault(); take(choice); }
  });
  $("composer-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  composer.focus({ preventScroll: true });
}

// --- mail, DNS, clock --------------------------------------------------------------------------------------------

async function bounce(box, reply) {
  const wish = reply ? { address: box, reply } : { address: box };
  await attempt(() => call("mail/behaviour", wish));
  refresh(["mail"]);
}

async function saveRecord(form) {
  const fields = new FormData(form);
  const lines = form.querySelector("textarea").value.split("\n").filter((line) => line.trim());
  const special = lines.length === 1 && ["TIMEOUT", "SERVFAIL"].includes(lines[0]);
  const record = {
    name: form.dataset.name || fields.get("name"),
    type: form.dataset.type || fields.get("type"),
    values: special ? lines[0] : lines.map((line) => (line.startsWith("[") ? JSON.parse(line) : line)),
  };
  const saved = await attempt(() => call("dns", record, "PUT"));
  if (!saved) return;
  toast(`${record.type} of ${record.name} saved`);
  document.activeElement?.blur();
  refresh(["dns"]);
}

function showDrawer(open) {
  $("drawer").hidden = !open;
  $("open-drawer").setAttribute("aria-expanded", String(open));
  sessionStorage.setItem("drawer", open ? "open" : "");
  if (open) {
    $("close-drawer").focus();
    refresh(["wire", "dns", "clock"]);
  }
}

function openMail(id) {
  body.dataset.mail = id;
  for (const link of document.querySelectorAll("#part-inbox a")) link.toggleAttribute("aria-current", link.dataset.mail === id);
  history.replaceState(null, "", withQuery("mail", id));
  refresh(["inbox", "mail"]);
}

function withQuery(name, value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  return url;
}

// --- one listener for every press ------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const target = event.target;
  const element = target.closest("button[data-action-id]");
  const mail = target.closest("a[data-mail]");
  const attempted = target.closest(".try");
  if (element) act(element);
  else if (target.closest("li[data-option]")) choose(target.closest("li[data-option]"));
  else if (target.closest("[data-close]")) closeModal(false);
  else if (target.closest("[data-close-all]")) closeModal(true);
  else if (target.closest("[data-bounce]")) bounce(target.closest("[data-bounce]").dataset.bounce, "550 5.1.1 The mailbox does not exist");
  else if (target.closest("[data-reset]")) bounce(target.closest("[data-reset]").dataset.reset);
  else if (target.closest("[data-advance]")) attempt(() => call("clock", { advance_s: Number(target.closest("[data-advance]").dataset.advance) }));
  else if (target.closest("#open-drawer")) showDrawer($("drawer").hidden);
  else if (target.closest("#close-drawer")) { showDrawer(false); $("open-drawer").focus(); }
  else if (mail && !event.ctrlKey && !event.metaKey) { event.preventDefault(); openMail(mail.dataset.mail); }
  else if (attempted) { composer.value = attempted.dataset.try; composer.focus(); }
  for (const menu of document.querySelectorAll("details.bk-overflow[open]")) if (!menu.contains(target)) menu.removeAttribute("open");
  for (const menu of document.querySelectorAll(".bk-external .menu")) if (!menu.parentElement.contains(target)) menu.hidden = true;
});

document.addEventListener("submit", (event) => {
  const modal = event.target.closest(".modal");
  const record = event.target.closest(".record");
  if (!modal && !record && event.target.id !== "mail-filter") return;
  event.preventDefault();
  if (modal) submit(modal);
  if (record) saveRecord(record);
  if (event.target.id === "mail-filter") filterMail();
});

function filterMail() {
  body.dataset.to = document.querySelector("#mail-filter input").value.trim();
  body.dataset.mail = "";
  history.replaceState(null, "", withQuery("to", body.dataset.to));
  refresh(["inbox", "mail"]);
}
let filtering = 0;
document.querySelector("#mail-filter input").addEventListener("input", () => {
  clearTimeout(filtering);
  filtering = setTimeout(filterMail, 250);
});
$("only-problems").addEventListener("change", (event) => $("part-wire").classList.toggle("only", event.target.checked));

document.addEventListener("keydown", (event) => {
  const modal = $("part-modal").querySelector(".modal");
  if (event.key === "Escape" && !$("confirm").open) {
    const menu = document.querySelector("details.bk-overflow[open], .bk-external .menu:not([hidden])");
    if (menu) { menu.tagName === "DETAILS" ? menu.removeAttribute("open") : (menu.hidden = true); }
    else if (modal) closeModal(false);
    else if (!$("drawer").hidden) showDrawer(false);
  }
  const search = event.target.closest?.(".bk-external input");
  if (search && ["ArrowDown", "ArrowUp", "Enter"].includes(event.key) && !search.nextElementSibling.hidden) {
    event.preventDefault();
    const items = [...search.nextElementSibling.querySelectorAll("li")];
    const at = items.findIndex((one) => one.ariaSelected === "true");
    if (event.key === "Enter") { const item = items[Math.max(at, 0)]; if (item) choose(item); return; }
    const next = items[(at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length];
    items.forEach((one) => { one.ariaSelected = String(one === next); });
    next?.scrollIntoView({ block: "nearest" });
  }
  if (event.key === "Tab" && modal && !$("confirm").open) {
    const stops = [...modal.querySelectorAll("button, input, select, textarea, a[href], summary")].filter((one) => one.offsetParent);
    const [first, last] = [stops[0], stops[stops.length - 1]];
    if (!modal.contains(document.activeElement) || (event.shiftKey ? document.activeElement === first : document.activeElement === last)) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  }
});

// --- start ---------------------------------------------------------------------------------------------------------------

for (const container of document.querySelectorAll("[id^=part-]")) remember(container);
bindComposer();
for (const id of ["messages-scroll", "thread-scroll"]) if ($(id) && !location.hash) $(id).scrollTop = $(id).scrollHeight;
settleModal({});
showClock();
setInterval(tick, 15000);
if (sessionStorage.getItem("drawer")) showDrawer(true);
if (scene.channel === "home") attempt(() => call("slack/home", { user: scene.user }));

const events = new EventSource("/page/events?since=" + body.dataset.seq);
events.onmessage = (event) => {
  const names = JSON.parse(event.data).topics.flatMap((topic) => PARTS[topic] || []);
  if (names.length) refresh(names);
};
events.onopen = () => { body.dataset.live = "yes"; };
events.onerror = () => { body.dataset.live = "no"; };
