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
