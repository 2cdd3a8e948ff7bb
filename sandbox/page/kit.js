// Block Kit in the browser: presses, selections, external options, confirm dialogs, modals.
// Loaded before page.js, whose helpers ($, call, attempt, refresh, scene) it uses when something happens.
"use strict";

const errors = new Map(); // view id -> {block_id: sentence}

// --- Block Kit: presses and selections ----------------------------------------------------------------------

function placeOf(element) {
  const view = element.closest("[data-view-id]");
  if (view) return { view_id: view.dataset.viewId };
  const message = element.closest("[data-ts]");
  return { channel: message.dataset.channel, ts: message.dataset.ts };
}

function valueOf(element) {
  const kind = element.dataset.kind;
  if (kind === "button" || kind === "overflow") return element.dataset.value;
  if (kind === "checkboxes") return [...element.querySelectorAll("input:checked")].map((one) => one.value);
  if (kind === "radio_buttons") return element.querySelector("input:checked")?.value ?? null;
  if (kind === "external_select") return element.dataset.value || null;
  if (kind === "multi_external_select") return element.dataset.value ? element.dataset.value.split(",") : [];
  if (element.multiple) return [...element.selectedOptions].map((one) => one.value);
  if (kind === "datetimepicker") return element.value ? Math.floor(new Date(element.value) / 1000) : null;
  return element.value || null;
}

function confirmed(element) {
  const words = element.dataset.confirm;
  if (!words) return Promise.resolve(true);
  const dialog = $("confirm");
  const ask = JSON.parse(words);
  $("confirm-title").textContent = ask.title.text;
  $("confirm-text").textContent = element.dataset.confirmText;
  const [deny, ok] = dialog.querySelectorAll("button");
  deny.textContent = ask.deny.text;
  ok.textContent = ask.confirm.text;
  ok.className = "bk " + (ask.style || "primary");
  return new Promise((resolve) => {
    deny.onclick = () => dialog.close("deny");
    ok.onclick = () => dialog.close("confirm");
    dialog.onclose = () => resolve(dialog.returnValue === "confirm");
    dialog.returnValue = "deny";
    dialog.showModal();
  });
}

async function act(element) {
  if (element.hasAttribute("data-silent")) return;
  if (!(await confirmed(element))) return;
  element.closest("details.bk-overflow")?.removeAttribute("open");
  const press = { user: scene.user, action_id: element.dataset.actionId, block_id: element.dataset.blockId, ...placeOf(element) };
  if (element.dataset.kind !== "button") press.value = valueOf(element);
  if (element.dataset.url) window.open(element.dataset.url, "_blank", "noopener,noreferrer");
  await attempt(() => call("slack/action", press), element);
}

async function suggest(input) {
  const menu = input.nextElementSibling;
  const query = input.value;
  if (query.length < Number(input.dataset.least)) { menu.hidden = true; return; }
  const ask = { user: scene.user, action_id: input.dataset.actionId, block_id: input.dataset.blockId, query, ...placeOf(input) };
  const answer = await attempt(() => call("slack/options", ask));
  if (!answer || input.value !== query) return;
  menu.replaceChildren(...answer.options.map((option) => {
    const item = document.createElement("li");
    item.role = "option";
    item.dataset.option = option.value;
    item.textContent = option.text.text;
    return item;
  }));
  if (!answer.options.length) menu.textContent = "No results";
  menu.hidden = false;
  menu.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-expanded", "true");
}

async function choose(item) {
  const input = item.closest(".bk-external").querySelector("input");
  input.value = item.textContent;
  input.dataset.value = item.dataset.option;
  item.parentElement.hidden = true;
  input.setAttribute("aria-expanded", "false");
  await act(input);
}

let typing = 0;
document.addEventListener("input", (event) => {
  const input = event.target.closest(".bk-external input");
  if (!input) return;
  input.dataset.value = "";
  clearTimeout(typing);
  typing = setTimeout(() => suggest(input), 200);
});
document.addEventListener("focusin", (event) => {
  const input = event.target.closest(".bk-external input");
  if (input && input.dataset.least === "0" && !input.value) suggest(input);
});
document.addEventListener("change", (event) => {
  const element = event.target.closest("[data-action-id]");
  if (element && !["button", "overflow", "external_select", "multi_external_select"].includes(element.dataset.kind)) act(element);
});

// --- modals -----------------------------------------------------------------------------------------------------

const inModal = () => $("part-modal").querySelectorAll("[data-action-id]:not([data-kind=button]):not([data-kind=overflow])");

function typedValues() {
  const view = $("part-modal").querySelector("[data-view-id]");
  const values = {};
  for (const element of inModal()) (values[element.dataset.blockId] ??= {})[element.dataset.actionId] = valueOf(element);
  const focus = document.activeElement?.dataset?.actionId;
  // What is being looked for in an external select, before anything is chosen.
  const sought = [...$("part-modal").querySelectorAll(".bk-external input")].filter((one) => one.value && !one.dataset.value);
  return { view: view?.dataset.viewId, node: view, values, focus, sought: sought.map((one) => [one.dataset.actionId, one.value]) };
}

function settleModal(before) {
  const modal = $("part-modal").querySelector("[data-view-id]");
  if (!modal) {
    errors.clear();
    if (before.view) composer?.focus();
    return;
  }
  if (modal !== before.node && modal.dataset.viewId === before.view) {
    // The same modal was drawn again: what was typed into inputs that still exist stays.
    for (const element of inModal()) {
      const value = before.values[element.dataset.blockId]?.[element.dataset.actionId];
      if (typeof value === "string" && "value" in element && element.dataset.silent !== undefined && element.dataset.kind !== "external_select") element.value = value;
    }
    if (before.focus) [...inModal()].find((one) => one.dataset.actionId === before.focus)?.focus();
    for (const [action, words] of before.sought) {
      const input = [...inModal()].find((one) => one.dataset.actionId === action && one.dataset.kind === "external_select");
      if (!input) continue;
      input.value = words;
      input.dataset.value = "";
      if (before.focus === action) suggest(input);
    }
  } else if (modal !== before.node) {
    (inModal()[0] ?? modal.querySelector("[type=submit], [data-close]"))?.focus();
  }
  showErrors(modal);
}

function showErrors(modal) {
  const found = errors.get(modal.dataset.viewId) || {};
  for (const block of modal.querySelectorAll("[data-input-block]")) {
    const sentence = found[block.dataset.inputBlock];
    const place = block.querySelector(".error");
    place.textContent = sentence || "";
    place.hidden = !sentence;
    block.classList.toggle("bad", !!sentence);
    for (const element of block.querySelectorAll("[data-action-id]")) {
      if (sentence) { element.setAttribute("aria-invalid", "true"); element.setAttribute("aria-describedby", place.id); }
      else { element.removeAttribute("aria-invalid"); element.removeAttribute("aria-describedby"); }
    }
  }
}

async function submit(modal) {
  const values = {};
  for (const element of inModal()) {
    if (element.dataset.kind === "file_input") continue;
    (values[element.dataset.blockId] ??= {})[element.dataset.actionId] = valueOf(element);
  }
  const button = modal.querySelector("[type=submit]");
  const view = modal.dataset.viewId;
  const answer = await attempt(() => call("slack/submit", { user: scene.user, view_id: view, values }), button);
  if (!answer) return;
  if (answer.errors) errors.set(view, answer.errors);
  else errors.delete(view);
  showErrors(modal);
  modal.querySelector(".bk-inputblock.bad [data-action-id]")?.focus();
  refresh(["modal"]);
}

async function closeModal(all) {
  const modal = $("part-modal").querySelector("[data-view-id]");
  if (modal) await attempt(() => call("slack/close", { user: scene.user, view_id: modal.dataset.viewId, all }));
  refresh(["modal"]);
}
