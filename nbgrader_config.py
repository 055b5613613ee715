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
# A notebook whose artifacts are missing trains while it is graded.
c.Execute.timeout = 900
# Nobody else on the machine may listen to what passes between nbgrader and a kernel.
c.KernelManager.transport_encryption = "auto"
