/** What tests and benchmarks ask the element itself: where pictures stand, which thumbnails are shown, the camera. */

import type { Rig } from './camera';
import type { Cloud } from './cloud';
import type { View } from './props';
import type { Stage } from './stage';
import type { Ids } from './store';
import type { Thumbnails } from './thumbnails';

export interface Probe {
  /** CSS pixels of the viewport, `across` its diameter; null if this map has no such picture. */
  project(id: number): { x: number; y: number; across: number; visible: boolean } | null;
  /** Scene units; null if this map has no such picture. */
  worldOf(id: number): readonly number[] | null;
  /** The thumbnails shown: their middles, CSS pixels of the viewport, and their sides. */
  thumbnails(): readonly { readonly id: number; readonly x: number; readonly y: number; readonly side: number }[];
  /** Scene units. */
  view(): View;
}

/** Put the probe on the element; returns what takes it away again. */
export function expose(
  host: HTMLElement & Partial<Probe>, stage: Stage, cloud: Cloud, rig: Rig, thumbnails: Thumbnails,
  ids: () => Ids | null,
): () => void {
  const row = (id: number): number => ids()?.row(id) ?? -1;
  host.project = (id) => {
    if (row(id) < 0) return null;
    const { x, y, ahead } = stage.project(cloud.at(row(id)));
    const box = stage.canvas.getBoundingClientRect();
    const inside = x > 0 && y > 0 && x < stage.width && y < stage.height;
    const { across } = cloud.disc(row(id), stage);
    return { x: box.left + x, y: box.top + y, across, visible: ahead && inside };
  };
  host.worldOf = (id) => (row(id) < 0 ? null : cloud.at(row(id)).toArray());
  host.thumbnails = () => thumbnails.visible().map(({ row: at, box }) => {
    const { left, top } = stage.canvas.getBoundingClientRect();
    const [x, y] = [left + (box.left + box.right) / 2, top + (box.top + box.bottom) / 2];
    return { id: ids()?.list[at] ?? -1, x, y, side: box.right - box.left };
  });
  host.view = () => rig.view();
  return () => {
    delete host.view;
    delete host.thumbnails;
    delete host.project;
    delete host.worldOf;
  };
}
