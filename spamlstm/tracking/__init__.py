"""What users do with their mail, turned into labels."""
