// The page's only script: sends what a person does to the control API and shows what the server renders.
// It never builds HTML from data; texts that it shows itself go through textContent. Block Kit is in kit.js.
"use strict";

const body = document.body;
const scene = { user: body.dataset.user, channel: body.dataset.channel, thread: body.dataset.thread };
const $ = (id) => document.getElementById(id);
const served = new WeakMap(); // node -> the HTML it was served as

// --- talking to the sandbox ------------------------------------------------------------------------

async function call(path, payload, method = "POST") {
  let answer;
  try {
    answer = await fetch("/sandbox/" + path, {
      method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(payload),
    });
  } catch {
    throw new Error("The sandbox does not answer. Is it still running?");
  }
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
  slack: ["news", "messages", "thread", "home", "modal"],
  mail: ["inbox", "mail"],
  phone: ["numbers", "phone", "bubbles"],
  wire: ["badge", "wire", "product", "process"],
  clock: ["clock"],
};
const IN_DRAWER = ["wire", "process"]; // not asked for while nobody sees them
const more = {}; // list -> how often "show more" was pressed
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
  const pages = Object.entries(more).map((pair) => pair.join(":")).join(",");
  return "/page/parts?" + new URLSearchParams({ ...scene, to, mail, number, find, more: pages, names: names.join(",") });
}

async function refresh(names) {
  for (const name of names) due.add(name);
  if (running) return;
  running = true;
  try {
    while (due.size) {
      const wanted = [...due].filter((name) => $("part-" + name) && !(IN_DRAWER.includes(name) && $("drawer").hidden));
      due = new Set();
      if (!wanted.length) break;
      const answer = await fetch(address(wanted)).catch(() => null);
      if (!answer?.ok) break;
      apply(await answer.json());
      await new Promise((resolve) => setTimeout(resolve, 120));
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
    const below = scroll && scroll.scrollHeight - scroll.scrollTop;
    patch(container, html);
    if (scroll?.dataset.older) scroll.scrollTop = scroll.scrollHeight - below; // what was read stays in place
    else if (atEnd) scroll.scrollTop = scroll.scrollHeight;
    if (scroll) { delete scroll.dataset.toEnd; delete scroll.dataset.older; }
  }
  if (values) settleModal(values);
  if (parts.clock !== undefined) showClock();
  if (parts.dns !== undefined) filterRecords();
  if (parts.news !== undefined) markNews();
}

function showMore(name) {
  more[name] = (more[name] || 0) + 1;
  const scroll = $({ messages: "messages-scroll", bubbles: "bubbles-scroll" }[name]);
  if (scroll) scroll.dataset.older = "yes";
  refresh([name]);
}

// --- what was not read yet ----------------------------------------------------------------------------------------

function markNews() {
  const key = "read-" + scene.user;
  const read = JSON.parse(sessionStorage.getItem(key) || "{}");
  for (const news of document.querySelectorAll("[data-news]")) {
    const { news: channel, newest } = news.dataset;
    // What was there when the page was first opened is no news; what is being looked at is read.
    if (read[channel] === undefined || channel === scene.channel) read[channel] = newest;
    for (const link of document.querySelectorAll(`[data-channel-id="${channel}"]`)) link.classList.toggle("unread", newest > read[channel]);
  }
  sessionStorage.setItem(key, JSON.stringify(read));
}

// --- composer -------------------------------------------------------------------------------------------

const composer = $("composer");
const completion = $("completion");

function offers() {
  if (!composer || scene.thread) return [];
  const typed = composer.value;
  if (!typed.startsWith("/") || typed.includes("\n")) return [];
  const all = [...$("commands").content.querySelectorAll("li")];
  const found = all.filter((one) => one.dataset.command.startsWith(typed));
  if (found.length) return found;
  // Behind a command: how it goes on, the longest one that fits ("/isp resend" rather than "/isp").
  const fitting = all.filter((one) => typed.startsWith(one.dataset.command));
  const best = fitting.sort((one, other) => other.dataset.command.length - one.dataset.command.length)[0];
  return best && best.dataset.command.trim().includes(" ") ? [best] : [];
}

function complete() {
  const found = offers();
  completion.replaceChildren(...found.map((one) => one.cloneNode(true)));
  const usage = found.length === 1 && composer.value.startsWith(found[0].dataset.command);
  // Behind "/isp " nothing is chosen before an arrow or Tab: Enter sends what stands there.
  select(usage || composer.value.endsWith(" ") ? null : completion.firstElementChild);
  completion.classList.toggle("usage", usage);
  completion.hidden = !found.length;
  composer.setAttribute("aria-expanded", String(!!found.length));
}

function select(choice) {
  completion.querySelector("[aria-selected=true]")?.removeAttribute("aria-selected");
  choice?.setAttribute("aria-selected", "true");
  choice?.scrollIntoView({ block: "nearest" });
  if (choice) composer.setAttribute("aria-activedescendant", choice.id);
  else composer.removeAttribute("aria-activedescendant");
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
    const open = !completion.hidden && !completion.classList.contains("usage");
    if (open && event.key === "Tab" && !event.shiftKey) {
      event.preventDefault();
      take(choice || completion.firstElementChild);
    } else if (open && choice && event.key === "Enter" && composer.value.trim() !== choice.dataset.command.trim()) {
      event.preventDefault();
      take(choice);
    } else if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const down = event.key === "ArrowDown";
      const next = down ? choice?.nextElementSibling : choice?.previousElementSibling;
      select(next || (down ? completion.firstElementChild : completion.lastElementChild));
    } else if (event.key === "Escape" && !completion.hidden) {
      event.stopPropagation();
      completion.hidden = true;
      composer.setAttribute("aria-expanded", "false");
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  completion.addEventListener("mousedown", (event) => {
    const choice = event.target.closest("li");
    if (choice && !completion.classList.contains("usage")) { event.preventDefault(); take(choice); }
  });
  $("composer-form").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  // On a touch screen that would open the keyboard over half of the page.
  if (!matchMedia("(hover: none)").matches) composer.focus({ preventScroll: true });
}

// --- mail ---------------------------------------------------------------------------------------------------------

async function bounce(box, reply) {
  const wish = reply ? { address: box, reply } : { address: box };
  await attempt(() => call("mail/behaviour", wish));
  refresh(["mail"]);
}

function mark(link, current) {
  if (current) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

function openMail(id) {
  body.dataset.mail = id;
  for (const link of document.querySelectorAll("#part-inbox a")) mark(link, link.dataset.mail === id);
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
  else if (target.closest("[data-more]")) showMore(target.closest("[data-more]").dataset.more);
  else if (target.closest("[data-advance]")) attempt(() => call("clock", { advance_s: Number(target.closest("[data-advance]").dataset.advance) }));
  else if (target.closest("[data-signal]")) signal(target.closest("[data-signal]"));
  else if (target.closest("[data-back]")) goBack(target.closest("[data-back]").dataset.back);
  else if (target.closest("#open-drawer")) showDrawer($("drawer").hidden);
  else if (target.closest("#close-drawer")) { showDrawer(false); $("open-drawer").focus(); }
  else if (mail && !event.ctrlKey && !event.metaKey) { event.preventDefault(); openMail(mail.dataset.mail); }
  else if (attempted) { composer.value = attempted.dataset.try; composer.focus(); complete(); }
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
  delete more.inbox;
  history.replaceState(null, "", withQuery("to", body.dataset.to));
  refresh(["inbox", "mail"]);
}
let filtering = 0;
document.querySelector("#mail-filter input").addEventListener("input", () => {
  clearTimeout(filtering);
  filtering = setTimeout(filterMail, 250);
});

document.addEventListener("keydown", (event) => {
  const modal = $("part-modal").querySelector(".modal");
  if (event.key === "Escape" && !$("confirm").open) {
    const menu = document.querySelector("details.bk-overflow[open], .bk-external .menu:not([hidden])");
    if (menu?.tagName === "DETAILS") { menu.removeAttribute("open"); menu.querySelector("summary").focus(); }
    else if (menu) menu.hidden = true;
    else if (modal) closeModal(false);
    else if (!$("drawer").hidden) { showDrawer(false); $("open-drawer").focus(); }
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
  if (event.key === "ArrowDown" || event.key === "ArrowUp") walk(event);
  if (event.key === "Tab" && modal && !$("confirm").open) {
    const stops = [...modal.querySelectorAll("button, input, select, textarea, a[href], summary")].filter((one) => one.offsetParent);
    const [first, last] = [stops[0], stops[stops.length - 1]];
    if (!modal.contains(document.activeElement) || (event.shiftKey ? document.activeElement === first : document.activeElement === last)) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  }
});

// Arrows go from line to line in lists of links and in open menus, as people expect of an inbox.
function walk(event) {
  const list = event.target.closest?.("#part-inbox, #part-numbers, #part-sidebar, details.bk-overflow");
  if (!list || event.target.matches("input, textarea, select")) return;
  const stops = [...list.querySelectorAll("a[href], button")].filter((one) => one.offsetParent);
  const at = stops.indexOf(document.activeElement);
  const next = stops[at < 0 ? 0 : at + (event.key === "ArrowDown" ? 1 : -1)];
  event.preventDefault();
  next?.focus();
}

// --- start ---------------------------------------------------------------------------------------------------------------

for (const container of document.querySelectorAll("[id^=part-]")) remember(container);
bindComposer();
for (const id of ["messages-scroll", "thread-scroll"]) if ($(id) && !location.hash) $(id).scrollTop = $(id).scrollHeight;
settleModal({});
markNews();
if (scene.channel === "home") attempt(() => call("slack/home", { user: scene.user }));

const events = new EventSource("/page/events?since=" + body.dataset.seq);
events.onmessage = (event) => {
  const names = JSON.parse(event.data).topics.flatMap((topic) => PARTS[topic] || []);
  if (names.length) refresh(names);
};
events.onopen = () => {
  body.dataset.live = "yes";
  if (!$("lost").hidden) refresh(Object.values(PARTS).flat());
  $("lost").hidden = true;
};
events.onerror = () => {
  body.dataset.live = "no";
  $("lost").hidden = false;
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
};
