import BEiTScoring
import Foundation

extension EvidenceReport {
    /// A page that shows the terms and says what they mean: one file without scripts or anything from outside.
    ///
    /// - Parameter facts: what was estimated, such as the files of the models.
    package func page(_ facts: [(name: String, value: String)]) -> String {
        HTML.page(
            title: "Evidence lower bound", facts: facts + extent,
            content: lead + terms + ratios + HTML.failures(failed, of: "Photos"),
            footer: """
                ± is the standard error over photos. Pixels are continuous in 0…1, so a likelihood may exceed 0. Each \
                hidden token is predicted by itself, not one after another: a pseudo-likelihood.
                """)
    }

    private var lead: String {
        """
        <p>ln p(x | x̃) ≥ E<sub>z~q(z|x)</sub> ln p(x | z) − KL[q(z|x) ‖ p(z | x̃)]</p>
        <p class="note">x is a photo, x̃ the same photo with hidden patches, z its visual tokens. The tokenizer's encoder \
        is q(z|x), its decoder p(x|z); p(z|x̃) is what the masked image model expects of the hidden patches. The bound \
        says how many nats a code of the photo costs at most: the higher, the better.</p>

        """
    }

    private var extent: [(name: String, value: String)] {
        let lost = failed.isEmpty ? "" : ", and \(HTML.count(failed.count)) that failed"
        return [
            ("photos", HTML.count(images) + lost),
            ("tokens of a photo", "\(tokens), of \(HTML.count(vocabulary)) codes"),
            ("masks", masking),
        ]
    }

    private var terms: String {
        let rows = [
            (
                "reconstruction, E ln p(x|z)", reconstruction,
                "how well the decoder draws the photo from tokens drawn from q; \(samples) drawn for each photo"
            ),
            (
                "reconstruction of the most likely tokens", reconstructionOfBest,
                "the same for the tokens that pre-training predicts; far above the line before, q is undecided"
            ),
            (
                "KL from the uniform prior", uniformKL,
                "what the tokens cost when every code is equally likely beforehand; at most \(tokens) · ln \(vocabulary)"
            ),
            ("entropy of q", entropy, "how undecided the encoder is; 0 for one certain token a cell"),
            ("bound with the uniform prior", bound, "the tokenizer alone: reconstruction less KL"),
        ].map { name, value, meaning in HTML.row([name, value.text, meaning].map(HTML.cell)) }
        let bits = HTML.row(
            ["in bits for each value", bitsPerDimension.text(4), "−bound ÷ (ln 2 · \(HTML.count(values)) values)"]
                .map(HTML.cell))
        return "<h2>Tokenizer</h2>\n<p class=\"note\">Nats for each photo.</p>\n"
            + HTML.table("meanings", HTML.head(["term", "", "what it says"]), rows + [bits])
    }

    private var ratios: String {
        let rows = masked.map { row in
            let cells = [row.uniformKL, row.priorKL, row.saved, row.surprise].map { $0.text(3) }
            let accuracy = String(format: "%.1f %%", 100 * row.accuracy.mean)
            return HTML.row(
                ([String(format: "%.0f %%", 100 * row.ratio), String(format: "%.1f", row.hidden.mean)] + cells
                    + [accuracy, row.bound.text, row.bitsPerDimension.text(4)]).map(HTML.cell))
        }
        let head = [
            "hidden", "patches", "KL uniform", "KL model", "saved", "−ln p(ẑ)", "right", "bound", "bits for each value",
        ]
        return """
            <h2>Masked image model</h2>
            <p class="note">For each hidden token, in nats: its KL from the uniform prior, from the model's prediction, and \
            what the model saves by having seen the rest of the photo; −ln p(ẑ) is the loss of pre-training, and "right" \
            how often its first guess is the most likely token. In the bound hidden tokens have the model's prediction as \
            their prior, those that are seen the uniform one.</p>
            \(HTML.table("terms", HTML.head(head), rows))
            """
    }
}
