"""The GLSL of the synthetic pictures.

    skin      rest vertices, bones ─► world positions and normals (transform feedback)
    person    those ─► clothes by the place on the template body ─► light
    thing     backdrop, floor, walls, occluders: textured, lit by the same light
    shadow    depth from the first light

World axes are y up, metres.  `crop` holds x, y of the crop's centre, its half side and the focal
length, in picture coordinates; row 0 of the picture is its top, because y is not turned.
"""

_CLOTHES = """
const int SKIN = 0, HAIR = 1, TOP = 2, BOTTOM = 3, SHOES = 4, SKIRT = 5;
uniform float waist_y, neck_y, neck_v, sleeve_x, hem_y, shoe_y, hairline, hair_end_y;

// what covers a point of the neutral template body (T-pose, the pelvis at y -0.23, soles at -1.2)
int cover(vec3 p, float rough) {
    float x = abs(p.x);
    if (p.y > hair_end_y && x < 0.14 && 0.65 * p.y - 0.76 * p.z > hairline + rough * 0.02)
        return HAIR;
    if (p.y > 0.05 && p.y > neck_y - neck_v * max(p.z + 0.02, 0.0) - x * 0.25 && x < 0.17)
        return SKIN;
    if (p.y > waist_y) return x < sleeve_x ? TOP : SKIN;
    if (p.y < shoe_y) return SHOES;
    return p.y > hem_y ? BOTTOM : SKIN;
}
"""

SKIN_VERTEX = (
    "#version 330\n"
    + _CLOTHES
    + """
uniform mat4x3 bones[24];
uniform float thickness[6];
uniform float hair_lumps, fold_waves;
in vec3 rest_m, normal, template_m;
in uvec4 joints;
in vec4 weights;
in float kind;
out vec3 world_m, world_normal;

float waves(vec3 p) {
    return sin(p.x * 23.0 + 3.0 * sin(p.y * 17.0)) * sin(p.y * 19.0 + p.z * 31.0);
}

void main() {
    int worn = kind > 0.5 ? SKIRT : cover(template_m, 0.0);
    float depth = thickness[worn];
    if (worn == HAIR) depth *= 1.0 + hair_lumps * waves(template_m * 2.0);
    else if (worn != SKIN) depth *= 1.0 + fold_waves * waves(template_m);
    vec4 place = vec4(rest_m + normal * depth, 1.0);
    mat4x3 move = bones[joints.x] * weights.x + bones[joints.y] * weights.y
                + bones[joints.z] * weights.z + bones[joints.w] * weights.w;
    world_m = move * place;
    world_normal = mat3(move) * normal;
}
"""
)

_PROJECT = """
uniform mat3 view;
uniform vec3 eye_m;
uniform vec4 crop;
vec4 on_crop(vec3 world) {
    vec3 p = view * (world - eye_m);
    const float near = 0.1, far = 120.0;
    float z = (p.z * (far + near) - 2.0 * far * near) / (far - near);
    return vec4((crop.w * p.xy - crop.xy * p.z) / crop.z, z, p.z);
}
"""

_LIGHT = """
uniform vec3 sun_to, sun_colour, fill_to, fill_colour, sky_colour, ground_colour;
uniform mat4 sun_view;
uniform sampler2DShadow shadow_map;
uniform float shadows;

float sunlit(vec3 world, vec3 n) {
    if (shadows < 0.5) return 1.0;
    vec3 p = (sun_view * vec4(world + n * 0.02, 1.0)).xyz;
    if (any(greaterThan(abs(p), vec3(1.0)))) return 1.0;
    return texture(shadow_map, p * 0.5 + 0.5);
}

vec3 lit(vec3 albedo, vec3 n, vec3 world, vec3 eye, float gloss) {
    float sun = max(dot(n, sun_to), 0.0) * sunlit(world, n);
    float fill = max(dot(n, fill_to) * 0.7 + 0.3, 0.0);
    vec3 ambient = mix(ground_colour, sky_colour, n.y * 0.5 + 0.5);
    vec3 halfway = normalize(sun_to + normalize(eye - world));
    float shine = gloss * pow(max(dot(n, halfway), 0.0), 24.0) * sun;
    vec3 light = albedo * (sun_colour * sun + fill_colour * fill + ambient) + shine * sun_colour;
    light *= 1.25;  // a film's shoulder: lights bleach late
    return sqrt(clamp(light * (1.0 + 0.3 * light) / (1.0 + light), 0.0, 1.0));
}
"""

PERSON_VERTEX = (
    "#version 330\n"
    + _PROJECT
    + """
in vec3 world_m, world_normal, template_m, normal;
in float kind;
out vec3 at_m, facing, on_template, template_normal;
flat out float what;
void main() {
    gl_Position = on_crop(world_m);
    at_m = world_m;
    facing = world_normal;
    on_template = template_m;
    template_normal = normal;
    what = kind;
}
"""
)

PERSON_FRAGMENT = (
    "#version 330\n"
    + _CLOTHES
    + _LIGHT
    + """
uniform vec3 eye_m;
uniform sampler2DArray cloth;
uniform sampler2D folds;
uniform float repeats[6];
uniform float gloss[6];
uniform float fold_depth;
uniform vec4 logo;
uniform vec3 iris_colour, lip_colour, brow_colour;
in vec3 at_m, facing, on_template, template_normal;
flat in float what;
out vec4 colour;

// eyes, brows and lips, painted on the template's face
vec3 face(vec3 skin, vec3 p) {
    vec2 eye = vec2(abs(p.x) - 0.030, p.y - 0.3765);
    float lid = length(eye * vec2(1.0, 1.9));
    if (lid < 0.0145) {
        if (length(eye) < 0.0062) return length(eye) < 0.003 ? vec3(0.02) : iris_colour;
        return vec3(0.75);
    }
    if (lid < 0.0175) skin *= 0.55;
    vec2 brow = vec2(abs(p.x) - 0.034, p.y - 0.398 + abs(abs(p.x) - 0.034) * 0.25);
    if (abs(brow.x) < 0.019 && abs(brow.y) < 0.0035) return brow_colour;
    vec2 mouth = vec2(p.x, p.y - 0.2935);
    if (length(mouth * vec2(1.0, 3.2)) < 0.025)
        return abs(mouth.y) < 0.0012 ? lip_colour * 0.4 : lip_colour;
    return skin;
}

void main() {
    vec3 p = on_template, m = abs(template_normal);
    vec2 uv = m.x > max(m.y, m.z) ? p.zy + 0.37 : (m.y > m.z ? p.xz + 0.71 : p.xy);
    vec3 bumps = texture(folds, uv * 1.5).rgb - 0.5;
    int worn = what > 0.5 ? (what > 1.5 ? HAIR : SKIRT) : cover(p, bumps.x * 4.0);
    vec3 albedo = texture(cloth, vec3(uv * repeats[worn], float(worn))).rgb;
    if (worn == TOP && template_normal.z > 0.1 && logo.z > 0.0) {
        vec2 print = (p.xy - logo.xy) / logo.zw;
        if (max(abs(print.x), abs(print.y)) < 1.0)
            albedo = texture(cloth, vec3(print * 0.5 + 0.5, 6.0)).rgb;
    }
    albedo *= albedo;
    if (worn == SKIN && p.z > 0.06 && p.y > 0.25) albedo = face(albedo, p);
    vec3 n = normalize(facing);
    if (!gl_FrontFacing) n = -n;
    if (worn > HAIR) n = normalize(n + bumps * fold_depth);
    else if (worn == HAIR) n = normalize(n + bumps * 0.8);
    colour = vec4(lit(albedo, n, at_m, eye_m, gloss[worn]), 1.0);
}
"""
)

THING_VERTEX = (
    "#version 330\n"
    + _PROJECT
    + """
in vec3 world_m, normal;
in vec3 uv_layer;
in float glow;
out vec3 at_m, facing, uvl;
flat out float own_light;
void main() {
    gl_Position = on_crop(world_m);
    at_m = world_m;
    facing = normal;
    uvl = uv_layer;
    own_light = glow;
}
"""
)

THING_FRAGMENT = (
    "#version 330\n"
    + _LIGHT
    + """
uniform vec3 eye_m;
uniform sampler2DArray surface;
uniform sampler2D back;
in vec3 at_m, facing, uvl;
flat in float own_light;
out vec4 colour;
void main() {
    vec3 near_by = texture(surface, uvl).rgb;
    vec3 far_off = texture(back, abs(mod(uvl.xy, 2.0) - 1.0)).rgb;
    vec3 albedo = uvl.z > 2.5 ? far_off : near_by;
    // a photograph brings its own light
    if (own_light > 0.5) { colour = vec4(albedo, 1.0); return; }
    vec3 n = normalize(facing);
    if (dot(n, eye_m - at_m) < 0.0) n = -n;
    colour = vec4(lit(albedo * albedo, n, at_m, eye_m, 0.0), 1.0);
}
"""
)

SHADOW_VERTEX = """#version 330
uniform mat4 sun_view;
in vec3 world_m;
void main() { gl_Position = sun_view * vec4(world_m, 1.0); }
"""

SHADOW_FRAGMENT = "#version 330\nvoid main() {}\n"
