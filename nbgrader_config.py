"""nbgrader's configuration: `nbgrader autograde hw1` and formgrader in this folder work with it."""

c = get_config()  # noqa: F821 - nbgrader defines it

c.CourseDirectory.course_id = "deepul"
# The sources that people edit are percent scripts in solutions/. nbgrader copies every file that lies beside
# a source notebook into the handout, so it sees only what `deepul release` puts here.
c.CourseDirectory.source_directory = "build/source"
c.CourseDirectory.release_directory = "homeworks"

c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.LockCells",
    "autograder.handout.build.ClearToStubs",
    "nbgrader.preprocessors.ClearOutput",
    "nbgrader.preprocessors.CheckCellMetadata",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# Submissions are untrusted: they are put in order, run in a sandbox, and checked outside it.
c.Autograde.sanitize_preprocessors = [
    "autograder.grading.nbgrader_steps.Normalise",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "autograder.grading.nbgrader_steps.TrustedExecute",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "autograder.grading.nbgrader_steps.LatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
# `nbgrader zip_collect` takes notebooks alone, if it is not told otherwise, and would leave weights out.
c.FileNameCollectorPlugin.valid_ext = [".ipynb", ".safetensors"]
# What could not be graded has no score in the table, where nbgrader writes 0.
c.ExportApp.plugin_class = "autograder.grading.nbgrader_steps.Export"
# The pictures that the handout's text shows are in a student's page itself.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "autograder.grading.nbgrader_steps.Figures",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]
