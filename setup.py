"The package as pip sees it: every value comes from settings.ini."
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here / 'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
readme = here / 'README.md'
name = cfg['lib_name']
thesis = f'{name}.thesis' # the thesis's values, for the tables that show them beside the study's
licences = {'apache2': 'Apache-2.0'}

setup(
    name=name, version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'].split(),
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license=licences[cfg['license']],
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    packages=[name, thesis], package_dir={thesis: 'data/thesis'}, package_data={name: ['weights/*', 'registries/*'], thesis: ['*.csv']},
    python_requires=f">={cfg['min_python']}", install_requires=cfg['requirements'].split(),
    extras_require={k.removesuffix('_requirements'): v.split() for k, v in cfg.items() if k.endswith('_requirements')},
    entry_points={'console_scripts': cfg['console_scripts'].splitlines()},
    zip_safe=False,
)
