// What the model of a spec is made of: its layers with their tensors, the state, the shapes. Nothing is approximate:
// the number of all parameters is a BigInt.
((builder) => {
  "use strict"

  const { data, filled, hiddenSizes, layersInTurn } = builder

  /** The model of a valid spec, by the values of its fields. */
  function modelOf(kind, values) {
    const embedding = embeddingOf(values)
    const layers = layersOf(kind, values)
    const readout = readoutOf(values, layers.at(-1).features)
    const order = String(values.batch_first)
    return {
      embedding,
      layers,
      readout,
      input: embedding ? data.embedding.input[order] : shapeWords(data.readout.sequence[order], values.input_size),
      output: shapeWords(data.readout.output[values.readout][order], readout.features),
      state: stateOf(kind, layers),
      parameters: [embedding ?? [], layers, readout].flat().reduce((sum, layer) => sum + BigInt(layer.parameters), 0n),
    }
  }

  /** The embedding of token ids; null without `num_embeddings`. */
  function embeddingOf(values) {
    if (values.num_embeddings === null) return null
    const tensors = there(data.embedding.parameters, {}, { ...values, constant: 1 })
    const shape = shapeWords(data.readout.sequence[String(values.batch_first)], values.input_size)
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
    const tensors = there(record.parameters, settings, sizes)
    const features = there(record.features, settings, sizes)[0].shape[0]
    return {
      index,
      name: `layer ${index}`,
      what: record.what,
      directions: values.bidirectional ? 2 : 1,
      reads,
      hidden,
      features,
      shape: shapeWords(data.readout.sequence[String(values.batch_first)], features),
      tensors,
      parameters: countOf(tensors),
      state: { name: record.state_class, parts: there(record.state, settings, sizes) },
    }
  }

  function readoutOf(values, reads) {
    const sizes = { features: reads, output_size: values.output_size, constant: 1 }
    const isLinear = values.output_size !== null
    const tensors = isLinear ? there(data.readout.parameters, {}, sizes) : []
    const features = isLinear ? values.output_size : reads
    const linear = isLinear ? data.readout.linear : null
    return { how: values.readout, linear, reads, features, tensors, parameters: countOf(tensors) }
  }

  /** The tensors of a record that are there with some settings, and their shapes with some sizes. */
  function there(record, settings, sizes) {
    const holds = ([path, shown]) => shown.includes(setting(settings[path]))
    return record
      .filter((each) => Object.entries(each.when ?? {}).every(holds))
      .map((each) => ({ name: each.name, shape: each.shape.map((form) => sizeOf(form, sizes)) }))
  }

  /** A choice or a flag by itself; of a number, whether it is there and not zero. */
  const setting = (value) => (typeof value === "string" ? value : Boolean(value))

  const sizeOf = (form, sizes) => Object.entries(form).reduce((sum, [name, factor]) => sum + factor * sizes[name], 0)

  const countOf = (tensors) =>
    tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * BigInt(size), 1n), 0n)

  const shapeWords = (template, features) => filled(template, { features })

  /** Each tensor of the state, by the name that `flatten_state` gives it. */
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
