// Puts the page of the collector and of `praxis open` together.
import '@fontsource-variable/inter/index.css';
import './styles/tokens.css';
import './styles/components.css';
import { mount } from 'svelte';
import Web from './web/Web.svelte';

const target = document.getElementById('app');
if (target) mount(Web, { target });
