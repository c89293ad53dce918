"""BERT (Devlin et al. 2019, arXiv 1810.04805): every position sees every other, and the stream is normed after each sum.

With x the stream, a layer computes y = LayerNorm(x + attention(x)) and LayerNorm(y + MLP(y)): resid_mid and resid_post
are taken after those norms, as transformers' hidden states are; attn_out and mlp_out are what is added before them. The
paths are those of `heldout.models.encoders.Encoder`, which holds an encoder with or without a head.
"""

from dataclasses import replace

from heldout.models.architectures.architecture import Architecture, Separate

BERT = Architecture(
    family="BERT",
    model_type="bert",
    layers="bert.encoder.layer",
    embedding="bert.embeddings.word_embeddings",
    final_norm="last_stream",
    unembedding="last_stream",
    attention="attention.self",
    attention_norm=None,
    projections=Separate("attention.self.query", "attention.self.key", "attention.self.value"),
    output_projection="attention.output.dense",
    stream_before_mlp="intermediate",
    added_by_attention="attention.output.dense",
    added_by_mlp="output.dense",
    mlp="intermediate",
    last_mlp_matrix="output.dense",
    activation="intermediate.intermediate_act_fn",
    gated_mlp=False,
    causal=False,
    stream_norm_after_attention="attention.output.LayerNorm",
    stream_norm_after_mlp="output.LayerNorm",
    matrices_behind_modules=True,
    unsupported=(("logits", "it has no unembedding: its output is the last layer's resid_post"),),
)
BERT_MASKED_LM = replace(
    BERT,
    family="BERT with a masked-language head",
    final_norm="cls.predictions.transform",
    unembedding="cls.predictions.decoder",
    unsupported=(),
)
BERT_CLASSIFIER = replace(
    BERT,
    family="BERT with a sequence classifier",
    final_norm="pooled",
    unembedding="classifier",
    reads_first_token=True,
    unsupported=(("logits", "it gives one row of labels a text, not one a position; Model.logits reads it"),),
)

ENCODERS: dict[str, Architecture] = {
    "BertModel": BERT,
    "BertForMaskedLM": BERT_MASKED_LM,
    "BertForPreTraining": BERT_MASKED_LM,
    "BertForSequenceClassification": BERT_CLASSIFIER,
}
"""The maps of encoders by the class that a config names."""
