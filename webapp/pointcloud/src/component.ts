/** The Dash component: React mounts the map, hands on its props, and takes it away. Dash brings React. */

import { PointMap } from './map';
import { Notice } from './notice';
import { DEFAULTS, type Inputs, type SetProps } from './props';
import { NoWebgl } from './stage';

interface ReactLike {
  createElement(type: string, props: Record<string, unknown>): unknown;
  useEffect(effect: () => void | (() => void), dependencies?: readonly unknown[]): void;
  useRef<T>(initial: T): { current: T };
}

declare global {
  interface Window {
    React: ReactLike;
    webapp_pointcloud: { PointCloud: typeof PointCloud };
  }
}

type Given = Partial<Inputs> & { readonly setProps?: SetProps };

/** Leave out what the page left undefined or null, so that defaults hold. */
function complete(given: Given): Inputs {
  const { setProps: _, ...inputs } = given;
  return { ...DEFAULTS, ...Object.fromEntries(Object.entries(inputs).filter(([, value]) => value != null)) };
}

/** Mount a map, or say why this browser cannot draw one. */
function mount(host: HTMLElement, inputs: Inputs, tell: SetProps): { map: PointMap | null; notice: Notice } {
  const notice = new Notice(host);
  try {
    return { map: new PointMap(host, notice, inputs, tell), notice };
  } catch (error) {
    if (!(error instanceof NoWebgl)) throw error;
    notice.problem('webgl', inputs.texts['noWebgl'] ?? '');
    host.dataset['ready'] = 'unsupported';
    return { map: null, notice };
  }
}

function PointCloud(given: Given): unknown {
  const { createElement, useEffect, useRef } = window.React;
  const inputs = complete(given);
  const host = useRef<HTMLElement | null>(null);
  const map = useRef<PointMap | null>(null);
  const latest = useRef<Given>(given);
  latest.current = given;
  useEffect(() => {
    if (!host.current) return undefined;
    const mounted = mount(host.current, inputs, (changed) => latest.current.setProps?.(changed));
    map.current = mounted.map;
    return () => {
      mounted.map?.dispose();
      mounted.notice.dispose();
      map.current = null;
    };
  }, []);
  useEffect(() => map.current?.update(inputs));
  return createElement('div', {
    ref: host,
    id: inputs.id,
    className: 'pointcloud',
    tabIndex: 0,
    role: 'application',
    'aria-label': inputs.ariaLabel,
  });
}

window.webapp_pointcloud = { PointCloud };
