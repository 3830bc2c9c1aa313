/** The worker: keeps the arrays that have a value a row, and answers the page's thread about all rows at once. */

import { unpack } from './ids';
import { inside } from './inside';
import type { Answer, Kind, Question, Questions, Values } from './messages';
import { near } from './near';
import { pick } from './pick';
import { woven } from './planes';
import { spot } from './spot';
import { presences, tones } from './tones';
import { Tree } from './tree';

/** The part of a worker's scope that is used; TypeScript's own library for workers does not go with the page's. */
interface Scope {
  onmessage: ((event: MessageEvent<Question>) => void) | null;
  postMessage(answer: Answer, handedOver: Transferable[]): void;
}

type Answers = { readonly [K in Kind]: (ask: Questions[K]['ask']) => Questions[K]['answer'] };

const scope = self as unknown as Scope;
const trees = new Map<string, Tree>();
const columns = new Map<string, Values>();
let present = new Uint8Array();
let lassoed: Uint8Array<ArrayBuffer> | null = null;

function tree(space: string): Tree {
  const found = trees.get(space);
  if (!found) throw new Error(`the worker has no map ${space}`);
  return found;
}

function column(name: string): Values {
  const found = columns.get(name);
  if (!found) throw new Error(`the worker has no column ${name}`);
  return found;
}

const ANSWERS: Answers = {
  ids: ({ planes }) => unpack(woven(planes, 8)),
  map: ({ space, array }) => {
    trees.set(space, new Tree(array));
    if (present.length !== array.length / 3) present = new Uint8Array(array.length / 3);
    return null;
  },
  column: ({ name, values }) => {
    columns.set(name, values);
    return null;
  },
  groups: ({ name, planes }) => {
    columns.set(name, new Int32Array(woven(planes, 4)));
    return null;
  },
  forget: ({ name }) => {
    columns.delete(name);
    return null;
  },
  paint: ({ coloring, presence }) => {
    present = presences(present.length, presence, column, lassoed) as Uint8Array<ArrayBuffer>;
    return tones(coloring, present, column);
  },
  pick: ({ space, eye, x, y, reach }) => pick(tree(space), present, eye, x, y, reach),
  bar: ({ pictured, rows }) => {
    for (const row of rows) column(pictured)[row] = 0;
    return null;
  },
  near: ({ space, eye, wish }) =>
    near(tree(space), { presences: present, pictured: column(wish.pictured) as Uint8Array }, eye, wish),
  lasso: ({ space, eye, polygon, within }) => {
    const found = inside(tree(space), eye, polygon, within === null ? null : (column(within) as Uint8Array));
    lassoed = found.mask.slice();
    return found;
  },
  spot: ({ space, column: name, group }) => spot(tree(space), column(name), group),
};

/** The buffers of an answer that the worker has no more use for. */
function handedOver(answer: Questions[Kind]['answer']): Transferable[] {
  if (ArrayBuffer.isView(answer)) return [answer.buffer as ArrayBuffer];
  if (answer === null || typeof answer === 'number') return [];
  return Object.values(answer).filter((part) => ArrayBuffer.isView(part)).map((part) => part.buffer as ArrayBuffer);
}

scope.onmessage = ({ data: { turn, kind, ask } }) => {
  try {
    const answer = (ANSWERS[kind] as (ask: unknown) => Questions[Kind]['answer'])(ask);
    scope.postMessage({ turn, answer }, handedOver(answer));
  } catch (error) {
    scope.postMessage({ turn, error: error instanceof Error ? error.message : String(error) }, []);
  }
};
