/** Numbers as the page's language writes them, whichever the browser speaks. */

export function count(number: number, digits = 0): string {
  const language = document.documentElement.lang || undefined;
  return number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
