"""Text search: every document's words in Tantivy, the best matches first.

Reading order: request (what is asked) · bm25 (what a match is worth) · gathering (small
segments into one) · postings (Tantivy) · tail (texts whose words are in memory) ·
searched (what a search asks of an index) · index (one index: all of it together) ·
ranking (one search of it) · resting (its files) · rested (one that is read from them) ·
follower (all indexes of a deployment).
"""
