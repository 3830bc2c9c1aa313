/**
 * GLSL of the cloud and of the markers.
 *
 * Points are opaque discs whose rim is left to multisampling (alpha to coverage), or drawn in whole pixels where there is
 * none, so the picture does not depend on the order in which they are drawn.
 */

/** A cloud that stands still needs two attributes a point; these two more are read only while it morphs or fades. */
const MOVING = /* glsl */ `
in vec3 goal;               // int16, the map that is being morphed to; 'position' is the one it leaves
in vec4 toneBefore;         // what the tone fades from
uniform float unitFrom;     // scene units per quantized unit
uniform float unitTo;
uniform float morph;        // 0-1
uniform float fade;         // 0-1

vec3 place() { return mix(position * unitFrom, goal * unitTo, morph); }
vec4 shownTone() { return mix(toneBefore, tone, fade); }
`;

const STANDING = /* glsl */ `
uniform float unit;         // scene units per quantized unit

vec3 place() { return position * unit; }
vec4 shownTone() { return tone; }
`;

// The figures of size and rank stand in presence.ts as well: picking goes by them.
const cloudVertex = (motion: string): string => /* glsl */ `
in vec4 tone;               // color and presence
uniform float pointSize;    // diameter, scene units
uniform float pixelsPerUnit; // device pixels that one scene unit covers at distance 1
uniform vec2 pixels;        // least and greatest diameter, device pixels
uniform vec3 ground;
uniform vec2 fog;           // distances from the camera at which the ground begins and ends to swallow color
out vec3 color;
out float rim;              // how much of the ground shows at the rim
${motion}
// What was found or chosen stands before all the rest, and keeps its own order in depth.
vec4 rank(vec4 clip, float presence) {
  float side = presence > 0.95 ? -0.5 : 0.5;
  return vec4(clip.xy, clip.z * 0.5 + side * clip.w, clip.w);
}

void main() {
  vec4 seen = modelViewMatrix * vec4(place(), 1.0);
  float depth = -seen.z;
  vec4 now = shownTone();
  float presence = now.a;
  float veil = smoothstep(fog.x, fog.y, depth) * 0.72;
  float shown = smoothstep(0.0, 0.75, presence) * (1.0 - veil * (1.0 - 0.45 * step(0.95, presence)));
  color = mix(ground, now.rgb, shown);
  float size = pointSize * pixelsPerUnit / max(depth, 1e-4) * mix(0.62, 1.0, smoothstep(0.1, 0.75, presence));
  size *= 1.0 + 0.45 * smoothstep(0.85, 1.0, presence);
  gl_PointSize = clamp(size, pixels.x, pixels.y);
  rim = 0.62 * smoothstep(3.0, 9.0, gl_PointSize);
  gl_Position = rank(projectionMatrix * seen, presence);
}
`;

export const MOVING_VERTEX = cloudVertex(MOVING);
export const STANDING_VERTEX = cloudVertex(STANDING);

export const CLOUD_FRAGMENT = /* glsl */ `
uniform float whole;        // the least cover that is drawn: half a pixel where it cannot be drawn in part
uniform vec3 ground;
in vec3 color;
in float rim;
out vec4 shade;

void main() {
  vec2 at = gl_PointCoord * 2.0 - 1.0;
  float r = length(at);
  float cover = clamp((1.0 - r) / max(fwidth(r), 1e-3) + 0.5, 0.0, 1.0);
  if (cover < whole) discard;
  // The ground at the rim keeps discs apart where they crowd.
  shade = vec4(mix(color, ground, rim * smoothstep(0.66, 0.96, r)), cover);
}
`;

/** Rings, dots and the landing's star: few, above everything, sized in pixels. */
export const MARKER_VERTEX = /* glsl */ `
uniform float pointSize;
uniform float pixelsPerUnit;
uniform vec2 pixels;
uniform float ratio;        // device pixels per CSS pixel
in vec3 tint;
in float kind;              // 0 ring, 1 star, 2 dot
in float least;             // CSS pixels
out vec3 color;
flat out float what;
out float across;           // device pixels

void main() {
  vec4 seen = modelViewMatrix * vec4(position, 1.0);
  float point = clamp(pointSize * pixelsPerUnit / max(-seen.z, 1e-4), pixels.x, pixels.y) * 1.45;
  across = kind > 1.5 ? least * ratio : max(least * ratio, kind < 0.5 ? point + 9.0 * ratio : point * 3.0);
  gl_PointSize = across;
  color = tint;
  what = kind;
  gl_Position = projectionMatrix * seen;
}
`;

export const MARKER_FRAGMENT = /* glsl */ `
uniform float ratio;
in vec3 color;
flat in float what;
in float across;
out vec4 shade;

void main() {
  float r = length(gl_PointCoord * 2.0 - 1.0);
  float px = 2.0 / across;                       // one device pixel, in units of r
  float alpha;
  vec3 c = color;
  if (what < 0.5) {
    float width = 2.0 * ratio * px;
    float middle = 1.0 - width - px;
    alpha = clamp((width * 0.5 - abs(r - middle)) / px + 0.5, 0.0, 1.0);
  } else if (what < 1.5) {
    float core = clamp((0.30 - r) / px + 0.5, 0.0, 1.0);
    float ring = clamp((0.045 - abs(r - 0.52)) / px + 0.5, 0.0, 1.0);
    float halo = 0.42 * pow(max(0.0, 1.0 - r), 2.2);
    alpha = max(max(core, ring), halo);
    c = mix(color, vec3(1.0), core * smoothstep(0.30, 0.0, r) * 0.85);
  } else {
    alpha = clamp((0.9 - r) / px + 0.5, 0.0, 1.0);
  }
  if (alpha < 0.004) discard;
  shade = vec4(c, alpha);
}
`;
