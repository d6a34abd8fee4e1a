/** A line of the terminal that shows how far an export is. */
const digits = new Intl.NumberFormat("en-US");
const barLength = 24;

/** The bar's text, without the carriage return. */
export function progressText(
  { rows, rowsTotal, files, filesTotal }: {
    readonly rows: number;
    readonly rowsTotal: number;
    readonly files: number;
    readonly filesTotal: number;
  },
): string {
  const share = rowsTotal === 0 ? 1 : rows / rowsTotal;
  const full = Math.round(share * barLength);
  const bar = "█".repeat(full) + "░".repeat(barLength - full);
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${files} of ${filesTotal} files, ${
    digits.format(rows)
  } rows`;
}
