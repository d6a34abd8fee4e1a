// Where the visitor wanted to go, and what went wrong the last time. The form works without.
(() => {
  const asked = new URLSearchParams(location.search);
  const sentences = { 401: "That is not the token.", 429: "Too many wrong tokens: wait a minute." };
  document.getElementById("to").value = asked.get("to") ?? "/";
  document.getElementById("wrong").textContent = sentences[asked.get("wrong")] ?? "";
})();
