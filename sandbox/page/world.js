// The drawer with the world around: clock, the product's processes, wire list, DNS zone.
// Loaded after page.js, whose helpers ($, body, call, attempt, refresh, toast) it uses.
"use strict";

// --- the clock in the top bar --------------------------------------------------------------------------

const face = new Intl.DateTimeFormat("en-US", {
  timeZone: body.dataset.zone, weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
});
let ahead = 0;

function showClock() {
  const clock = document.querySelector("[data-testid=clock]");
  if (clock) ahead = new Date(clock.dataset.now) - Date.now();
  tick();
}

function tick() {
  $("part-clock-face").textContent = face.format(new Date(Date.now() + ahead));
}

// --- DNS ---------------------------------------------------------------------------------------------

async function saveRecord(form) {
  const fields = new FormData(form);
  const lines = form.querySelector("textarea").value.split("\n").filter((line) => line.trim());
  const special = lines.length === 1 && ["TIMEOUT", "SERVFAIL"].includes(lines[0]);
  const record = { name: form.dataset.name || fields.get("name"), type: form.dataset.type || fields.get("type") };
  const saved = await attempt(() => {
    try {
      record.values = special ? lines[0] : lines.map((line) => (line.startsWith("[") ? JSON.parse(line) : line));
    } catch {
      throw new Error("A value that begins with [ is a list of strings, such as [\"part one\", \"part two\"].");
    }
    return call("dns", record, "PUT");
  });
  if (!saved) return;
  toast(`${record.type} of ${record.name} ${lines.length ? "saved" : "deleted"}`);
  document.activeElement?.blur();
  if (form.classList.contains("new")) form.reset();
  refresh(["dns"]);
}

function filterRecords() {
  const wanted = $("dns-find").value.trim().toLowerCase();
  let found = 0;
  for (const form of document.querySelectorAll("#part-dns .record:not(.new)")) {
    const words = `${form.dataset.name} ${form.dataset.type} ${form.querySelector("textarea").value}`.toLowerCase();
    form.hidden = !words.includes(wanted);
    if (!form.hidden) found += 1;
  }
  $("no-record").hidden = found > 0;
  $("no-record").classList.toggle("shown", !found);
}

$("dns-find").addEventListener("input", filterRecords);

// --- the product's processes -------------------------------------------------------------------------

async function signal(button) {
  const wish = button.dataset.signal;
  const state = await attempt(() => call("product", { signal: wish }), button);
  if (!state) return;
  refresh(["product", "process"]);
  if (wish === "START") followStart();
}

async function followStart() {
  // Nobody tells when it listens: it is asked, for as long as a start may take.
  for (let tries = 0; tries < 60; tries += 1) {
    const state = await fetch("/sandbox/product").then((answer) => answer.json()).catch(() => ({}));
    if (state.ready || !state.running) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  refresh(["product", "process"]);
}

// --- the drawer --------------------------------------------------------------------------------------

function showDrawer(open) {
  $("drawer").hidden = !open;
  $("open-drawer").setAttribute("aria-expanded", String(open));
  sessionStorage.setItem("drawer", open ? "open" : "");
  if (open) {
    $("close-drawer").focus();
    refresh(["wire", "dns", "clock", "process"]);
  }
}

$("only-problems").addEventListener("change", (event) => $("part-wire").classList.toggle("only", event.target.checked));

showClock();
setInterval(tick, 15000);
filterRecords();
if (document.querySelector("[data-testid=product-starting]")) followStart();
if (sessionStorage.getItem("drawer")) showDrawer(true);
