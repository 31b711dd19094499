// Every page works without this script.

// Count characters as thoughts_api does: code points, without leading and trailing white space.
for (const box of document.querySelectorAll("textarea[data-limit]")) {
  const limit = Number(box.dataset.limit);
  const hint = document.getElementById(box.getAttribute("aria-describedby").split(" ")[0]);
  const count = () => {
    const length = [...box.value.trim()].length;
    hint.textContent = length > limit ? `${length - limit} too many` : `${limit - length} left`;
    hint.classList.toggle("over", length > limit);
    // Screen readers announce the count only near the limit.
    hint.setAttribute("aria-live", limit - length <= 20 ? "polite" : "off");
  };
  box.addEventListener("input", count);
  if (box.value) count();
}

// Ctrl+Enter or Cmd+Enter submits the form. Escape closes the menu and confirmations. A click elsewhere closes the menu.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat && event.target.matches("textarea")) {
    event.target.form.requestSubmit();
  }
  if (event.key === "Escape") {
    for (const details of document.querySelectorAll("details[open]")) {
      if (details.contains(document.activeElement)) details.querySelector("summary").focus();
      details.open = false;
    }
  }
});
document.addEventListener("click", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
});

// Show each time as "2 hours ago", or as a local date after 30 days. The exact local time appears on hover.
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const showTimes = () => {
  for (const element of document.querySelectorAll("time")) {
    const date = new Date(element.dateTime);
    const seconds = (date - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
    element.title = date.toLocaleString("en-GB", { dateStyle: "full", timeStyle: "short" });
    if (!unit) element.textContent = "just now";
    else if (Math.abs(seconds) < 30 * 86400) element.textContent = relative.format(Math.trunc(seconds / size), unit);
    else element.textContent = date.toLocaleDateString("en-GB", { dateStyle: "medium" });
  }
};
showTimes();
setInterval(showTimes, 30000);

const list = document.querySelector(".thoughts");
const fetchPage = async (url, options) => {
  const response = await fetch(url, options);
  if (!response.ok) throw new Error(response.status);
  return new DOMParser().parseFromString(await response.text(), "text/html");
};

// "Load more" appends the next page to the list. After that, the link loads the following page.
let loaded = 0;
const more = () => document.querySelector(".pages [rel=next]");
const label = () => {
  if (more()) more().textContent = "Load more";
};
const loadMore = async () => {
  const link = more();
  const page = await fetchPage(link.href);
  const articles = [...page.querySelectorAll(".thoughts > *")];
  for (const article of articles) article.removeAttribute("id"); // a position on another page
  list.append(...articles);
  const next = page.querySelector(".pages [rel=next]");
  if (next) link.replaceWith(next);
  else link.remove();
  label();
  showTimes();
  loaded += 1;
  return articles[0];
};
document.addEventListener("click", async (event) => {
  const link = event.target.closest(".pages [rel=next]");
  if (!list || !link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.ariaBusy) return;
  link.ariaBusy = "true";
  try {
    (await loadMore())?.querySelector("a").focus({ preventScroll: true });
  } catch {
    location = link.href; // shows the error
  }
});
// When the user returns to a page, load as many pages as before, and restore the scroll position.
addEventListener("pagehide", () => history.replaceState({ loaded, scroll: scrollY }, ""));
const restore = async ({ loaded, scroll }) => {
  try {
    for (let count = Math.min(loaded, 50); count > 0 && more(); count -= 1) await loadMore();
    scrollTo(0, scroll);
  } catch {
    // The first page stays.
  }
};
label();
if (list && history.state?.loaded) restore(history.state);

// Delete a thought without leaving the page. If that fails, submit the form as usual, to show the error.
list?.addEventListener("submit", async (event) => {
  const form = event.target;
  const article = form.closest(".thoughts > *");
  event.preventDefault();
  if (form.ariaBusy) return;
  form.ariaBusy = "true";
  try {
    const page = await fetchPage(form.action, { method: "POST", body: new FormData(form) });
    const notice = page.querySelector(".notice.success");
    if (!notice) throw new Error("not deleted");
    const neighbour = article.nextElementSibling ?? article.previousElementSibling;
    for (const old of document.querySelectorAll(".notice.success")) old.remove();
    list.before(notice);
    article.remove();
    if (neighbour) neighbour.querySelector("a").focus({ preventScroll: true });
    else list.replaceWith(page.querySelector(".thoughts, .empty")); // keep the text that is typed in the form
  } catch {
    form.submit();
  }
});
