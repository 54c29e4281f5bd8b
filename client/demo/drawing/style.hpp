// The page's style sheet: light or dark, as the reader's system prefers.
#pragma once

namespace frsh::demo {

inline constexpr const char* kStyle = R"css(
:root { color-scheme: light dark;
  --paper: #fbfaf7; --card: #ffffff; --ink: #22252b; --soft: #6a707c; --rule: #dfdcd3;
  --client: #0b6b8a; --server: #8a3b93; --good: #1d7a3a; --bad: #b3261e; --accent: #0b6b8a;
  --byte: #14171c; --c0: #9bd3f5; --c1: #ffbe7d; --c2: #b7dd93; --c3: #d3b8f2; --c4: #f3dc8b;
  --c5: #f7a6a6; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #16181d; --card: #1e2128; --ink: #e4e6ea; --soft: #9aa1ad; --rule: #343944;
  --client: #6cc6e6; --server: #d79be0; --good: #6fcf8b; --bad: #ff8a80; --accent: #6cc6e6;
  --byte: #10131a; --c0: #74b9e4; --c1: #e6a35d; --c2: #98c46f; --c3: #b797de; --c4: #d9bf66;
  --c5: #e08a8a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.6 system-ui, "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei",
  sans-serif; }
main { max-width: 920px; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
section.lesson + section.lesson { margin-top: 5rem; }
h1 { font-size: 2rem; line-height: 1.25; margin: 0 0 .3rem; }
h1 small { display: block; font-size: .95rem; font-weight: 600; color: var(--accent);
  letter-spacing: .04em; margin-bottom: .3rem; }
.question { color: var(--soft); font-size: 1.1rem; margin: 0 0 2rem; }
h2 { font-size: 1.3rem; margin: 2.8rem 0 .6rem; padding-top: 1.2rem;
  border-top: 1px solid var(--rule); }
p { margin: .6rem 0; }
code, .call, pre, .byte, .off, .lab { font-family: ui-monospace, "DejaVu Sans Mono",
  "Noto Sans Mono CJK SC", Menlo, Consolas, monospace; }
figure { margin: 1.4rem 0; padding: 1rem 1rem .4rem; background: var(--card);
  border: 1px solid var(--rule); border-radius: 10px; overflow-x: auto; }
figcaption { font-weight: 600; margin-bottom: .7rem; }
svg { display: block; width: 100%; height: auto; min-width: 560px; }
svg text { fill: var(--soft); font-size: 13px; text-anchor: middle; }
svg text.byte { fill: var(--byte); font-size: 14px; }
svg text.off { text-anchor: end; }
.c0 { fill: var(--c0); } .c1 { fill: var(--c1); } .c2 { fill: var(--c2); }
.c3 { fill: var(--c3); } .c4 { fill: var(--c4); } .c5 { fill: var(--c5); }
.got { fill: none; stroke: var(--ink); stroke-width: 1.6; }
.got.wait { stroke: var(--soft); stroke-dasharray: 2 4; }
.got.lost { stroke: var(--bad); stroke-dasharray: 6 3; }
.axis { fill: none; stroke: var(--soft); }
.waiting { fill: var(--c5); } .served { fill: var(--c2); } .idle { fill: var(--rule); }
.legend { color: var(--soft); font-size: .85rem; margin: .2rem 0 .5rem; }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: 3px;
  margin: 0 .35em 0 1em; vertical-align: -.1em; }
.legend i.waiting { background: var(--c5); } .legend i.served { background: var(--c2); }
.legend i.idle { background: var(--rule); }
.calls { display: grid; grid-template-columns: 1fr 1fr; gap: .2rem 1.5rem; margin: 1.1rem 0;
  padding: .8rem 1rem; background: var(--card); border: 1px solid var(--rule);
  border-radius: 10px; font-size: .92rem; }
.side { font-weight: 600; font-size: .85rem; border-bottom: 2px solid; padding-bottom: .1rem;
  margin-bottom: .3rem; }
.client { color: var(--client); } .server { color: var(--server); }
.call { overflow-wrap: anywhere; }
.call b { color: var(--ink); white-space: pre-wrap; }
.call span { display: block; color: var(--soft); font-family: system-ui, "Noto Sans CJK SC",
  sans-serif; font-size: .86rem; }
.packet { grid-column: 1 / 3; display: flex; align-items: center; color: var(--soft);
  font-size: .85rem; margin: .1rem 15%; line-height: 1.2; }
.packet i { flex: 1; border-top: 1.5px solid var(--soft); }
.packet span { padding: 0 .6rem; }
.packet.captured { color: var(--ink); margin: .1rem 4%; }
.packet.more { justify-content: center; }
table { border-collapse: collapse; width: 100%; margin: 1.2rem 0; font-size: .95rem; }
th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
ul { list-style: none; padding: 0; }
.claims li { padding: .5rem .9rem .5rem 2.4rem; margin: .4rem 0; position: relative;
  background: color-mix(in srgb, var(--good) 9%, transparent); border-radius: 8px; }
.claims li::before { content: "✓"; position: absolute; left: .9rem; color: var(--good);
  font-weight: 700; }
.claims li.broken { background: color-mix(in srgb, var(--bad) 14%, transparent); }
.claims li.broken::before { content: "✗"; color: var(--bad); }
.sources li { margin: .7rem 0; padding-left: .9rem; border-left: 3px solid var(--accent); }
.sources code { display: block; overflow-wrap: anywhere; font-size: .88rem; }
.sources code.place { color: var(--accent); font-weight: 600; }
details { color: var(--soft); font-size: .85rem; margin: .3rem 0 .5rem; }
summary { cursor: pointer; }
pre { overflow-x: auto; margin: .4rem 0; line-height: 1.35; }
.predict { font-size: 1rem; color: var(--ink); padding: .6rem .9rem; margin: 1rem 0;
  background: var(--card); border: 1px solid var(--accent); border-radius: 10px; }
.predict summary { font-weight: 600; }
.predict li.right { color: var(--good); font-weight: 600; }
.note { margin: 1.2rem 0; }
.precisely { padding: .5rem .9rem; background: var(--card); border-left: 4px solid var(--accent); }
.verdict { margin-top: 2rem; font-weight: 600; color: var(--good); }
.verdict.broken { color: var(--bad); }
@media (max-width: 600px) { .calls { font-size: .8rem; gap: .2rem .7rem; }
  .packet.captured { margin: .1rem 0; font-size: .75rem; } }
)css";

}  // namespace frsh::demo
