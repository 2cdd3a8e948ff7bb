// The phones: choosing one, texting from it, making its number fail; and which pane a small screen shows.
// Loaded after page.js, whose helpers ($, body, call, attempt, refresh, withQuery, scene) it uses.
"use strict";

const PHONE_PARTS = ["numbers", "phone", "bubbles"];
const panes = document.querySelector(".panes");

// --- one phone ------------------------------------------------------------------------------------------

function openNumber(number) {
  body.dataset.number = number;
  delete more.bubbles;
  $("texting").hidden = !number;
  for (const link of document.querySelectorAll("#part-numbers a")) {
    mark(link, link.dataset.number === number);
    if (link.dataset.number === number) link.scrollIntoView({ block: "nearest" });
  }
  history.replaceState(null, "", withQuery("number", number));
  $("bubbles-scroll").dataset.toEnd = "yes";
  refresh(PHONE_PARTS);
  if (number && !matchMedia("(hover: none)").matches) $("text").focus({ preventScroll: true });
}

// On a narrow screen a list gives way to what was chosen in it; this is the way back.
function goBack(which) {
  if (which === "number") openNumber("");
  else openMail("");
}

async function sendText() {
  const box = $("text");
  const words = box.value.trim();
  if (!words || !body.dataset.number) return;
  box.value = "";
  growText();
  const sent = await attempt(() => call("phone/send", { from: body.dataset.number, body: words }), $("texting"));
  if (!sent && !box.value) box.value = words;
  refresh(PHONE_PARTS);
}

function growText() {
  $("text").style.height = "auto";
  $("text").style.height = $("text").scrollHeight + "px";
}

async function trouble(code) {
  const wish = { number: body.dataset.number };
  if (code) wish.error_code = Number(code);
  await attempt(() => call("phone/behaviour", wish));
  refresh(["numbers", "phone"]);
}

function findPhone() {
  body.dataset.find = document.querySelector("#phone-filter input").value.trim();
  delete more.numbers;
  history.replaceState(null, "", withQuery("find", body.dataset.find));
  refresh(["numbers"]);
}

$("text").addEventListener("input", growText);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    sendText();
  }
});
$("texting").addEventListener("submit", (event) => { event.preventDefault(); sendText(); });
$("phone-filter").addEventListener("submit", (event) => { event.preventDefault(); findPhone(); });
let finding = 0;
document.querySelector("#phone-filter input").addEventListener("input", () => {
  clearTimeout(finding);
  finding = setTimeout(findPhone, 250);
});

$("phone").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-number]");
  const said = event.target.closest("[data-say]");
  const fault = event.target.closest("[data-trouble]");
  if (link && !event.ctrlKey && !event.metaKey) { event.preventDefault(); openNumber(link.dataset.number); }
  else if (said) { $("text").value = said.dataset.say; $("text").focus(); }
  else if (fault) trouble(fault.dataset.trouble);
});

// --- panes: all at once on a wide screen, mail or phone on a middling one, one at a time on a narrow one -----

function showPane(name) {
  if (name === "slack") panes.dataset.shown = "slack";
  else {
    panes.dataset.shown = "outside";
    panes.dataset.outside = name;
    sessionStorage.setItem("outside", name);
  }
  markPanes();
}

function markPanes() {
  for (const tab of document.querySelectorAll("[data-pane]")) {
    const narrow = tab.closest(".tabs");
    const chosen = narrow && panes.dataset.shown === "slack" ? "slack" : panes.dataset.outside;
    tab.setAttribute("aria-pressed", String(tab.dataset.pane === chosen));
    if ($(tab.dataset.pane).offsetParent) tab.classList.remove("news");
  }
}

function tellNews(topics) {
  for (const tab of document.querySelectorAll("[data-pane]")) {
    if (topics.includes(tab.dataset.pane) && !$(tab.dataset.pane).offsetParent) tab.classList.add("news");
  }
}

for (const tab of document.querySelectorAll("[data-pane]")) tab.addEventListener("click", () => showPane(tab.dataset.pane));
events.addEventListener("message", (event) => tellNews(JSON.parse(event.data).topics));
panes.dataset.outside = sessionStorage.getItem("outside") || (body.dataset.number ? "phone" : "mail");
markPanes();
$("bubbles-scroll").scrollTop = $("bubbles-scroll").scrollHeight;
