// Bare three.js Points: the peer of `frames`. Positions float32 (n, 3), one color, one size in pixels, nothing else.
import {
  BufferAttribute, BufferGeometry, Color, PerspectiveCamera, Points, PointsMaterial, Scene, Vector3, WebGLRenderer,
} from 'three';

window.stand = async ({ width, height, size, view, antialias }) => {
  const positions = new Float32Array(await (await fetch('positions.bin')).arrayBuffer());
  const canvas = document.body.appendChild(document.createElement('canvas'));
  const context = canvas.getContext('webgl2', { alpha: false, antialias });
  const renderer = new WebGLRenderer({ canvas, context });
  renderer.setPixelRatio(1);
  renderer.setSize(width, height);
  renderer.setClearColor(new Color('#0b0d12'));
  const geometry = new BufferGeometry().setAttribute('position', new BufferAttribute(positions, 3));
  const points = new Points(geometry, new PointsMaterial({ size, sizeAttenuation: false, color: '#8ab4f8' }));
  points.frustumCulled = false;
  const scene = new Scene().add(points);
  const camera = new PerspectiveCamera(45, width / height, 0.004, 60);
  const target = new Vector3(...view.target);
  const offset = new Vector3(...view.position).sub(target);
  window.turn = () => {
    offset.applyAxisAngle(camera.up, -0.08);
    camera.position.copy(target).add(offset);
    camera.lookAt(target);
    requestAnimationFrame(() => renderer.render(scene, camera));
  };
  window.canvas = canvas;
  window.rests = () => true;
};
