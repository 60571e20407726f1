// The model of a spec: its layers with their tensors, the state, the shapes and the costs. All numbers are exact, so those
// of large models are BigInts.
((builder) => {
  "use strict"

  const BYTES = 4n // of a float32
  const { data, filled, hiddenSizes, layersInTurn } = builder

  /** The model of a valid spec, by the values of its fields. */
  function modelOf(kind, values) {
    const embedding = embeddingOf(values)
    const layers = layersOf(kind, values)
    const readout = readoutOf(values, layers.at(-1).features)
    const parameters = [embedding ?? [], layers, readout].flat().reduce((sum, layer) => sum + layer.parameters, 0n)
    const order = String(values.batch_first)
    return {
      embedding,
      layers,
      readout,
      input: embedding ? data.embedding.input[order] : shapeText(data.readout.sequence[order], values.input_size),
      output: shapeText(data.readout.output[values.readout][order], readout.features),
      state: stateOf(kind, layers),
      parameters,
      weight_bytes: BYTES * parameters,
      state_bytes: BYTES * stateSizeOf(layers),
      multiply_adds_per_step: multiplyAddsOf(layers),
    }
  }

  /** The number of elements of the state of one sequence. */
  const stateSizeOf = (layers) =>
    layers.reduce((sum, { directions, state }) => sum + BigInt(directions) * countOf(state.parts), 0n)

  /** The multiply-adds of one step: each weight matrix is multiplied by one vector. */
  const multiplyAddsOf = (layers) =>
    countOf(layers.flatMap(({ tensors }) => tensors.filter(({ shape }) => shape.length === 2)))

  /** The embedding of token ids; null without `num_embeddings`. */
  function embeddingOf(values) {
    if (values.num_embeddings === null) return null
    const tensors = tensorsOf(data.embedding.parameters, {}, { ...values, constant: 1 })
    const shape = shapeText(data.readout.sequence[String(values.batch_first)], values.input_size)
    const sizes = { reads: values.num_embeddings, features: values.input_size }
    return { name: "embedding", what: data.embedding.what, ...sizes, shape, tensors, parameters: countOf(tensors) }
  }

  function layersOf(kind, values) {
    const records = layersInTurn(kind, values)
    const layers = []
    let reads = values.input_size
    for (const [index, hidden] of hiddenSizes(values).entries()) {
      const layer = layerOf(records[index % records.length], values, reads, hidden, index)
      layers.push(layer)
      reads = layer.features
    }
    return layers
  }

  function layerOf(record, values, reads, hidden, index) {
    const settings = { ...record.defaults, ...values }
    const sizes = { ...settings, input: reads, hidden, constant: 1 }
    const tensors = tensorsOf(record.parameters, settings, sizes)
    const features = tensorsOf(record.features, settings, sizes)[0].shape[0]
    return {
      index,
      name: `layer ${index}`,
      what: record.what,
      directions: values.bidirectional ? 2 : 1,
      reads,
      hidden,
      features,
      shape: shapeText(data.readout.sequence[String(values.batch_first)], features),
      tensors,
      parameters: countOf(tensors),
      state: { name: record.state_class, parts: tensorsOf(record.state, settings, sizes) },
    }
  }

  function readoutOf(values, reads) {
    const sizes = { features: reads, output_size: values.output_size, constant: 1 }
    const isLinear = values.output_size !== null
    const tensors = isLinear ? tensorsOf(data.readout.parameters, {}, sizes) : []
    const features = isLinear ? values.output_size : reads
    const linear = isLinear ? data.readout.linear : null
    return { how: values.readout, linear, reads, features, tensors, parameters: countOf(tensors) }
  }

  /** The tensors of a record that exist with these settings, with their shapes. */
  function tensorsOf(record, settings, sizes) {
    const holds = ([path, shown]) => shown.includes(setting(settings[path]))
    return record
      .filter((each) => Object.entries(each.when ?? {}).every(holds))
      .map((each) => ({ name: each.name, shape: each.shape.map((form) => sizeOf(form, sizes)) }))
  }

  /** A choice or flag itself; for a number, whether it is set and not zero. */
  const setting = (value) => (typeof value === "string" ? value : Boolean(value))

  const sizeOf = (form, sizes) => Object.entries(form).reduce((sum, [name, factor]) => sum + factor * sizes[name], 0)

  const countOf = (tensors) =>
    tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * BigInt(size), 1n), 0n)

  const shapeText = (template, features) => filled(template, { features })

  /** Each tensor of the state, by its name in `flatten_state`. */
  function stateOf(kind, layers) {
    if (data.kinds[kind].stacked_state) {
      const rows = layers.length * layers[0].directions
      return layers[0].state.parts.map((part) => ({ name: part.name, shape: `(${rows}, batch, ${part.shape[0]})` }))
    }
    const cells = layers.flatMap((layer) => Array(layer.directions).fill(layer.state.parts))
    return cells.flatMap((parts, cell) =>
      parts.map((part) => ({ name: `${cell}.${part.name}`, shape: `(batch, ${part.shape[0]})` })),
    )
  }

  Object.assign(builder, { modelOf })
})(globalThis.rnnkitSpecBuilder)
