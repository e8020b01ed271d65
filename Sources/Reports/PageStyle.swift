extension HTML {
    /// The style of all pages: two colour schemes, one column on phones, nothing from outside.
    static let style = """
        :root{--back:#f7f7f5;--card:#fff;--ink:#1d1f22;--soft:#5e636b;--line:#dfe1e5;--track:#e9ebef;--a:#2f6fde;\
        --b:#d27a1f;--best:#c2410c;--cell:38,99,214}
        @media(prefers-color-scheme:dark){:root{--back:#131417;--card:#1c1e22;--ink:#e9eaed;--soft:#a0a6af;\
        --line:#31343a;--track:#2b2e34;--a:#6c9dff;--b:#f0a45a;--best:#ff8a4c;--cell:58,112,224}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,\
        "Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
        main{max-width:1140px;margin:0 auto;padding:28px 16px 48px}
        h1{font-size:1.65rem;line-height:1.25;margin:0 0 12px;overflow-wrap:anywhere}
        h2{font-size:1.2rem;margin:40px 0 6px}
        h3{font-size:1rem;margin:26px 0 8px}
        p{margin:0 0 12px}
        .note,footer{color:var(--soft);font-size:.9rem;max-width:75ch}
        footer{margin-top:44px;border-top:1px solid var(--line);padding-top:14px}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:0 0 22px;font-size:.95rem}
        dt{color:var(--soft)}
        dd{margin:0;overflow-wrap:anywhere}
        .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:10px}
        .tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
        .tile b{display:block;font-size:1.5rem;line-height:1.3;font-variant-numeric:tabular-nums}
        .tile span{color:var(--soft);font-size:.8rem}
        .tile.wide{grid-column:span 2}
        .tile .range{display:block;position:relative;height:10px;margin:6px 0;background:var(--track);border-radius:5px}
        .range i{position:absolute;top:0;bottom:0;left:0;background:var(--a);border-radius:5px}
        .range u{position:absolute;top:-3px;bottom:-3px;border:2px solid var(--ink);border-radius:4px;min-width:4px}
        .scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px;max-width:100%}
        table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;width:100%}
        th,td{padding:5px 10px;text-align:right;white-space:nowrap}
        th{color:var(--soft);font-weight:600}
        tbody tr{border-top:1px solid var(--line)}
        th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card)}
        .swatch{display:inline-block;width:.85em;height:.85em;border-radius:3px;border:1px solid rgba(128,128,128,.6);\
        margin-right:.5em;vertical-align:-.08em}
        .void{background:repeating-linear-gradient(135deg,#d6d6d6 0 3px,#787878 3px 6px)}
        .name{display:inline-block;max-width:min(32vw,320px);overflow:hidden;text-overflow:ellipsis;\
        vertical-align:bottom}
        .bars td:nth-child(2){width:40%}
        .bar{display:block;height:11px;min-width:84px;background:var(--track);border-radius:4px;overflow:hidden}
        .bar+.bar{margin-top:3px}
        .bar i{display:block;height:100%;background:var(--a)}
        .bar.b i{background:var(--b)}
        .key{display:inline-block;width:.85em;height:.85em;border-radius:3px;background:var(--a);margin-right:.4em;\
        vertical-align:-.08em}
        .key.b{background:var(--b)}
        .meanings th:last-child,.meanings td:last-child{text-align:left;white-space:normal;min-width:26ch}
        .matrix{width:auto}
        .matrix th,.matrix td{padding:4px 7px;min-width:40px;text-align:center}
        .matrix th:first-child,.matrix td:first-child,.pairs th:nth-child(2),.pairs td:nth-child(2){text-align:left}
        .matrix .up{vertical-align:bottom}
        .matrix .up span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:11rem;overflow:hidden;\
        text-overflow:ellipsis}
        .matrix .up .swatch{margin:0 0 .5em}
        .matrix .hot{color:#fff}
        .matrix .none{color:var(--soft)}
        .scroll img,.scroll svg{display:block;max-width:none}
        .confusion text{font-size:11px;fill:var(--soft)}
        .confusion .field{fill:var(--track)}
        svg .grid{stroke:var(--line)}
        .curve,.raw,.cut{fill:none;stroke:var(--a);stroke-width:2;stroke-linejoin:round}
        .raw{stroke-width:1;opacity:.35}
        .cut{stroke:var(--soft);stroke-width:1.2}
        .dot{fill:var(--a)}
        .curve.second,.raw.second{stroke:var(--b)}
        .dot.second{fill:var(--b)}
        svg .best{fill:var(--best)}
        .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,21rem),1fr));gap:12px}
        .charts figure,.gallery figure{margin:0}
        .charts svg{display:block;width:100%;height:auto}
        .charts svg text{font-size:11px;fill:var(--soft)}
        .charts svg .mark{fill:var(--ink);font-weight:600;paint-order:stroke;stroke:var(--card);stroke-width:3px}
        .gallery{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:12px}
        .gallery img{display:block;width:100%;height:auto;border-radius:4px}
        .gallery figcaption{margin:8px 0 0;color:var(--soft)}
        .spark{display:inline-block!important;vertical-align:middle}
        details{margin:28px 0 0}
        summary{font-weight:600;cursor:pointer;margin-bottom:8px}
        tr.best td{font-weight:700}
        .facts th,.facts td{text-align:left!important;vertical-align:top}
        .facts th{width:18rem;font-weight:400}
        .facts td{white-space:normal;overflow-wrap:anywhere}
        .chips{display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:0 0 6px;list-style:none;font-size:.9rem}
        figure{margin:0 0 12px;padding:10px;background:var(--card);border:1px solid var(--line);border-radius:10px}
        figcaption{font-size:.9rem;margin-bottom:8px;overflow-wrap:anywhere}
        figcaption b{margin-right:.5em}
        figcaption span{color:var(--soft)}
        .pictures{display:grid;grid-auto-flow:column;grid-auto-columns:minmax(0,1fr);gap:6px}
        .pictures div{font-size:.8rem;color:var(--soft);text-align:center}
        .pictures img{display:block;max-width:100%;height:auto;margin:0 auto 2px;border-radius:4px}
        .flat img{image-rendering:pixelated}
        .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(168px,1fr));gap:10px}
        .cards figure{margin:0}
        .cards img{display:block;max-width:100%;height:auto;max-height:168px;margin:0 auto 6px;border-radius:4px}
        .cards figcaption{font-size:.82rem;margin:0}
        ul.failed{padding-left:1.2em;overflow-wrap:anywhere}
        @media(max-width:600px){main{padding:18px 12px 40px}figure{padding:8px}.pictures{gap:4px}\
        .tiles{grid-template-columns:1fr 1fr}th,td{padding:5px 7px}.bars td:nth-child(2){width:auto}.bar{min-width:48px}\
        .facts th{white-space:normal;width:9rem}.four{grid-auto-flow:row;grid-template-columns:1fr 1fr}\
        .meanings thead{display:none}.meanings tr{display:block;padding:6px 0}\
        .meanings td{display:block;text-align:left;white-space:normal;padding:1px 10px}\
        .meanings td:first-child{font-weight:600;position:static}.meanings td:last-child{color:var(--soft)}}
        """
}
