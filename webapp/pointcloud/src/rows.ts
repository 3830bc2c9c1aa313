/** The worker, as the page's thread sees it: a question goes in, a promise of its answer comes out. */

import type { Answer, Kind, Questions } from './worker/messages';

/** Beside the script that this is in; a file of its own, since the page's policy starts no worker out of a blob. */
const ADDRESS = new URL('worker.js', (document.currentScript as HTMLScriptElement).src);

interface Waiting {
  readonly answered: (answer: never) => void;
  readonly failed: (error: Error) => void;
}

export class Rows {
  private readonly worker = new Worker(ADDRESS);
  private readonly waiting = new Map<number, Waiting>();
  private turn = 0;
  /** Why nothing will be answered any more. */
  private ended: Error | null = null;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.hear(data);
    this.worker.onerror = (event) => {
      event.preventDefault(); // whoever waits is told instead, and whoever asks later
      this.fail(new Error(`the map's worker failed: ${event.message || 'it could not be loaded'}`));
    };
  }

  /**
   * Ask; `handedOver` are buffers that the asker needs no more. Rejects with what the worker says; at once where it could
   * not be loaded, has failed or was disposed.
   */
  ask<K extends Kind>(
    kind: K, ask: Questions[K]['ask'], handedOver: Transferable[] = [],
  ): Promise<Questions[K]['answer']> {
    if (this.ended) return Promise.reject(this.ended);
    this.turn += 1;
    const { turn } = this;
    return new Promise((answered, failed) => {
      this.waiting.set(turn, { answered: answered as (answer: never) => void, failed });
      this.worker.postMessage({ turn, kind, ask }, handedOver);
    });
  }

  dispose(): void {
    this.worker.terminate();
    this.fail(new DOMException('the map was taken away', 'AbortError'));
  }

  private hear(said: Answer): void {
    const waiting = this.waiting.get(said.turn);
    this.waiting.delete(said.turn);
    if ('error' in said) waiting?.failed(new Error(said.error));
    else waiting?.answered(said.answer as never);
  }

  private fail(error: Error): void {
    this.ended = error;
    for (const { failed } of this.waiting.values()) failed(error);
    this.waiting.clear();
  }
}
