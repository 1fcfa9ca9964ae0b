"""What a forge's CI tells a job, and how a job speaks so that the forge shows it to people."""
