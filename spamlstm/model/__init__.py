"""Models: bundles, the classifier and its parts, personal layers, the policy, and explanations."""
