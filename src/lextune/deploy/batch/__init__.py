"""Batch: a release over a folder of documents, one durable record a document, whatever is killed.

run_batch(source, folder, out, options) -> summary and ledger
  options   what answers, and how it is run
  taking    files of the folder -> what is read of them, by content and name
  worker    reads one document and answers it: here, or in a process on a cluster
  book      the journal: what is finished, and what it took; it is all that a kill leaves, and all that is needed
  ledger    tokens, seconds and prices
  results   journal -> records.jsonl, answers.parquet, failures.jsonl, summary.json, ledger.json
  plan      measured rates -> machines and cost of a month
"""
