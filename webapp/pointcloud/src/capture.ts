/** The view as a PNG: canvas, names, the landed picture, and the attribution that the corpus's licence asks for. */

import type { Box } from './boxes';
import type { Name } from './refinement';
import type { Stage } from './stage';

export interface Caption {
  readonly attribution: string;
  readonly ink: string;
  readonly ground: string;
  readonly accent: string;
}

export interface Overlay {
  readonly names: readonly { readonly name: Name; readonly box: Box; readonly opacity: number }[];
  /** The landed picture and where it stands, CSS pixels from the canvas's corner; null if there is none. */
  readonly picture: { readonly image: HTMLImageElement; readonly box: Box } | null;
}

/** Draw the view with its attribution; device pixels. */
export function compose(stage: Stage, overlay: Overlay, caption: Caption): HTMLCanvasElement {
  stage.draw(); // the canvas keeps its pixels only until the browser shows them
  const ratio = stage.ratio;
  const sheet = document.createElement('canvas');
  sheet.width = stage.canvas.width;
  sheet.height = stage.canvas.height;
  const pen = sheet.getContext('2d');
  if (!pen) throw new Error('no 2D canvas');
  pen.drawImage(stage.canvas, 0, 0);
  pen.scale(ratio, ratio);
  const family = getComputedStyle(stage.canvas).fontFamily;
  for (const { name, box, opacity } of overlay.names) {
    pen.globalAlpha = opacity;
    label(pen, name, box, family, caption);
  }
  pen.globalAlpha = 1;
  if (overlay.picture) frame(pen, overlay.picture.image, overlay.picture.box, caption);
  if (caption.attribution) attribute(pen, stage.width, stage.height, family, caption);
  return sheet;
}

/** Offer the drawn sheet as a download. */
export function save(sheet: HTMLCanvasElement, filename: string): void {
  sheet.toBlob((blob) => blob && offer(blob, filename), 'image/png');
}

/** Offer a file as a download. */
export function offer(file: Blob, filename: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(file);
  link.download = filename;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A name as the style sheet shows it: a pill, a dot, the words cut to its width. */
function label(pen: CanvasRenderingContext2D, name: Name, box: Box, family: string, caption: Caption): void {
  const middle = (box.top + box.bottom) / 2;
  pen.save();
  pen.globalAlpha *= 0.66;
  pen.fillStyle = caption.ground;
  pen.beginPath();
  pen.roundRect(box.left, box.top, box.right - box.left, box.bottom - box.top, (box.bottom - box.top) / 2);
  pen.fill();
  pen.restore();
  pen.fillStyle = name.color;
  pen.beginPath();
  pen.arc(box.left + 11, middle, 3, 0, 2 * Math.PI);
  pen.fill();
  pen.font = `500 12px ${family}`;
  pen.textBaseline = 'middle';
  pen.fillStyle = caption.ink;
  pen.fillText(cut(pen, name.text, box.right - box.left - 28), box.left + 20, middle + 0.5);
}

function cut(pen: CanvasRenderingContext2D, text: string, width: number): string {
  if (pen.measureText(text).width <= width + 1) return text;
  const letters = [...text];
  while (letters.length && pen.measureText(`${letters.join('')}…`).width > width) letters.pop();
  return `${letters.join('')}…`;
}

function frame(pen: CanvasRenderingContext2D, image: HTMLImageElement, box: Box, caption: Caption): void {
  const width = box.right - box.left;
  const height = box.bottom - box.top;
  pen.fillStyle = caption.accent;
  pen.fillRect(box.left, box.top, width, height);
  pen.drawImage(image, box.left + 2, box.top + 2, width - 4, height - 4);
}

/** A band along the foot with the attribution, wrapped to the sheet's width. */
function attribute(
  pen: CanvasRenderingContext2D, width: number, height: number, family: string, caption: Caption,
): void {
  const font = `12px ${family}`;
  pen.font = font;
  const lines = wrap(pen, caption.attribution, width - 32);
  const band = lines.length * 17 + 14;
  pen.globalAlpha = 0.82;
  pen.fillStyle = caption.ground;
  pen.fillRect(0, height - band, width, band);
  pen.globalAlpha = 1;
  lines.forEach((line, i) => write(pen, line, 16, height - band + 16 + i * 17, font, caption));
}

function wrap(pen: CanvasRenderingContext2D, text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    const longer = line ? `${line} ${word}` : word;
    if (line && pen.measureText(longer).width > width) {
      lines.push(line);
      line = word;
    } else {
      line = longer;
    }
  }
  return line ? [...lines, line] : lines;
}

function write(pen: CanvasRenderingContext2D, text: string, x: number, y: number, font: string, c: Caption): void {
  pen.font = font;
  pen.textBaseline = 'middle';
  pen.lineWidth = 3;
  pen.lineJoin = 'round';
  pen.strokeStyle = c.ground;
  pen.strokeText(text, x, y);
  pen.fillStyle = c.ink;
  pen.fillText(text, x, y);
}
