"""A second set of queries, drawn from the titles of forum threads and issues about recurrent networks.

Readers paste such titles, or type most of their words. The pages were chosen before the search was asked.
"""

FORUM_QUERIES = {
    # outputs and states
    "difference between hidden and output in LSTM": [
        "explanation/faq.html",
        "how_to/choose_a_readout.html",
        "how_to/use_a_model.html",
        "reference/api/states.html",
        "explanation/glossary.html",
    ],
    "bidirectional lstm last output": [
        "explanation/padding_and_directions.html",
        "how_to/choose_a_readout.html",
        "explanation/handwritten_models.html",
        "explanation/faq.html",
    ],
    "many to one lstm": ["how_to/choose_a_readout.html", "tutorials/digits.html"],
    "lstm input shape": ["how_to/use_a_model.html", "kinds/lstm.html", "explanation/faq.html"],
    "expected 3D input": ["reference/errors.html", "how_to/use_a_model.html", "explanation/faq.html"],
    "expected hidden size": ["reference/errors.html", "how_to/use_a_model.html", "reference/api/states.html"],
    "get hidden states of all layers": ["how_to/states_of_every_step.html", "how_to/use_a_model.html"],
    "h_n vs output": ["how_to/use_a_model.html", "explanation/faq.html", "explanation/handwritten_models.html"],
    "cell state": ["kinds/lstm.html", "explanation/glossary.html", "reference/api/states.html"],
    "difference between LSTMCell and LSTM": [
        "how_to/coming_from.html",
        "how_to/use_a_model.html",
        "kinds/lstm_cell.html",
        "kinds/lstm.html",
    ],
    # padding
    "why do we pack the sequences": [
        "explanation/padding_and_directions.html",
        "tutorials/variable_lengths.html",
        "explanation/faq.html",
        "how_to/coming_from.html",
    ],
    "pad_sequence": ["tutorials/variable_lengths.html", "how_to/training_loop.html"],
    "enforce_sorted": [
        "explanation/padding_and_directions.html",
        "tutorials/variable_lengths.html",
        "explanation/handwritten_models.html",
        "how_to/coming_from.html",
    ],
    "ignore padding in cross entropy": ["tutorials/variable_lengths.html", "explanation/faq.html"],
    "masked loss": ["tutorials/variable_lengths.html", "explanation/faq.html"],
    "padding_idx": ["how_to/tokens.html"],
    "batch with different sequence lengths": ["tutorials/variable_lengths.html"],
    # state between batches
    "role of batch size and statefulness": [
        "how_to/coming_from.html",
        "how_to/streams.html",
        "tutorials/streaming.html",
    ],
    "reset_states after each epoch": [
        "how_to/streams.html",
        "tutorials/streaming.html",
        "how_to/coming_from.html",
        "reference/api/states.html",
    ],
    "trying to backward through the graph a second time": [
        "tutorials/truncated_bptt.html",
        "how_to/streams.html",
        "explanation/faq.html",
    ],
    "detach hidden state": ["tutorials/truncated_bptt.html", "how_to/streams.html", "reference/api/states.html"],
    "keep hidden state between batches": [
        "explanation/faq.html",
        "how_to/streams.html",
        "tutorials/truncated_bptt.html",
        "tutorials/streaming.html",
    ],
    "encoder decoder pass hidden state": ["how_to/streams.html"],
    "beam search": ["how_to/streams.html"],
    # tasks
    "multivariate time series": [
        "tutorials/truncated_bptt.html",
        "tutorials/streaming.html",
        "how_to/compare_kinds.html",
        "tutorials/index.html",
    ],
    "character level text generation": ["how_to/tokens.html"],
    "predict next step": ["tutorials/truncated_bptt.html", "how_to/tokens.html", "how_to/streams.html"],
    "sequence classification": [
        "tutorials/digits.html",
        "tutorials/variable_lengths.html",
        "how_to/choose_a_readout.html",
    ],
    "sequence labeling": [
        "how_to/choose_a_readout.html",
        "tutorials/variable_lengths.html",
        "tutorials/streaming.html",
    ],
    "mnist": ["tutorials/digits.html"],
    "attention over lstm outputs": ["how_to/attention.html"],
    # training
    "loss not decreasing": ["explanation/faq.html", "how_to/training_loop.html", "how_to/initial_weights.html"],
    "exploding gradients": ["how_to/training_loop.html", "explanation/glossary.html", "explanation/faq.html"],
    "variational dropout in RNN": ["how_to/regularize.html"],
    "dropout only between layers": ["how_to/regularize.html", "reference/errors.html"],
    "LayerNorm LSTM": ["how_to/regularize.html", "how_to/residual_layers.html", "kinds/lstm_cell.html"],
    "initialize LSTM weights": ["how_to/initial_weights.html"],
    "early stopping": ["how_to/training_loop.html", "tools/lightning.html", "tools/trainers.html"],
    "resume training": ["how_to/training_loop.html", "how_to/save_and_verify.html"],
    "out of memory": [
        "tools/gradient_checkpointing.html",
        "how_to/size_before_building.html",
        "tutorials/truncated_bptt.html",
        "explanation/faq.html",
    ],
    "results differ between CPU and GPU": [
        "how_to/reproducibility.html",
        "how_to/precision_and_devices.html",
        "explanation/numerics.html",
    ],
    "DataParallel": ["how_to/train_on_several_gpus.html", "tools/distributed.html"],
    "freeze layers": ["how_to/load_weights.html", "how_to/training_loop.html", "explanation/faq.html"],
    "class imbalance": ["how_to/training_loop.html", "explanation/faq.html"],
    # architecture
    "different hidden size for each layer": ["how_to/layer_sizes.html"],
    "skip connections": ["how_to/residual_layers.html"],
    "count parameters of a model": ["how_to/size_before_building.html", "explanation/faq.html"],
    "GRU reset_after": [
        "explanation/numerics.html",
        "kinds/gru.html",
        "kinds/gru_cell.html",
        "how_to/coming_from.html",
    ],
    # speed and deployment
    "LSTM slow on CPU": ["kinds/speed.html", "explanation/faq.html", "explanation/plans.html", "kinds/index.html"],
    "export LSTM to ONNX with dynamic batch size": ["how_to/export.html"],
    "run model in C++": ["how_to/export.html"],
    "quantize LSTM int8": ["tools/quantization.html", "how_to/export.html"],
    "graph break": ["tools/compile.html", "how_to/export.html"],
    "weights_only": ["how_to/save_and_verify.html", "explanation/faq.html", "reference/files.html"],
    "convert keras weights to pytorch": ["how_to/load_weights.html", "how_to/coming_from.html"],
    # kinds
    "IndRNN": ["kinds/indrnn.html"],
    "liquid neural network": ["kinds/cfc.html", "plugins/adapters.html", "plugins/directory.html"],
    "parallel scan": [
        "kinds/speed.html",
        "kinds/families/linear.html",
        "explanation/plans.html",
        "reference/api/cells.html",
    ],
    "simple recurrent unit": ["kinds/sru.html"],
    "uneven time steps": ["kinds/cfc.html", "kinds/families/continuous.html", "plugins/cells.html", "kinds/index.html"],
    # plugins
    "custom LSTM cell": ["plugins/cells.html", "tutorials/write_a_plugin.html"],
    "entry points not found": ["how_to/plugin_not_found.html"],
}
