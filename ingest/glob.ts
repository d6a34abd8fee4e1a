/** Patterns of device names: `*` stands for any characters, also none; everything else for itself. */

/** True if `text` matches all of `pattern`. Takes at most length × length steps, whatever the pattern. */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0;
  let place = 0;
  // Where to go on when what follows the last star doesn't fit: one character further.
  let starPlace = -1;
  let starAt = 0;
  while (at < text.length) {
    if (pattern[place] === "*") {
      starPlace = place++;
      starAt = at;
    } else if (place < pattern.length && pattern[place] === text[at]) {
      place++;
      at++;
    } else if (starPlace >= 0) {
      place = starPlace + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (pattern[place] === "*") place++;
  return place === pattern.length;
}
